import sys,torch
sys.path.insert(0,'.')
torch.set_num_threads(1)
from ddpm_teach import load_checkpoint, add_noise
from ddpm_teach.data.scenes import load_scenes, scene_boxes
state=load_checkpoint(sys.argv[1]); m=state.model; print(state.step)
n=192; test=load_scenes('test',n); x0=m.autoencoder.encode(test.pictures(slice(None)))
c=m.tokenizer.encode(test.attributes['caption'].tolist())
boxes=scene_boxes('test',n)
mask=torch.zeros(n,8,8,dtype=bool)
for i in range(n):
    for b in boxes[i]:
        if b[0]>=0: mask[i,b[0]//4:(b[2]+3)//4,b[1]//4:(b[3]+3)//4]=True
print('latent var', x0.var().item(), 'var in sprites', x0.permute(0,2,3,1)[mask].var().item(),'ground', x0.permute(0,2,3,1)[~mask].var().item(), 'share',mask.float().mean().item())
g=torch.Generator().manual_seed(0); eps=torch.randn(x0.shape,generator=g)
with torch.no_grad():
  for name,net in (('ema',m.net),('net',state.net.eval())):
    for t in (200,500,800,950):
        tt=torch.full((n,),t); xt=add_noise(m.schedule,x0,tt,eps); w=m.target.ask(m.schedule,x0,eps,tt)
        row=[]
        for cc in (c,c.roll(1,0),c*0):
            e=(net(xt,tt,cc)-w).square().mean(1)
            row+= [f'{e[mask].mean():.3f}/{e[~mask].mean():.3f}']
        print(name,t,'right',row[0],'shuffled',row[1],'none',row[2],flush=True)
