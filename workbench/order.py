import sys,torch
sys.path.insert(0,'.')
torch.set_num_threads(1)
from ddpm_teach import load_checkpoint, add_noise
from ddpm_teach.data.scenes import load_scenes, scene_boxes, records
from ddpm_teach.data.captions import caption, place_in_words
state=load_checkpoint(sys.argv[1]); m=state.model; print(state.step)
N=300; test=load_scenes('test',N); A=test.attributes
idx=[i for i in range(N) if A['relation'][i]!='none' and A['first kind'][i]!=A['second kind'][i]][:128]
x0=m.autoencoder.encode(test.pictures(torch.tensor(idx))); n=len(idx)
def cap(i,swap):
    r=[caption(q,{'kind','color'}) for q in records(A,i)]
    return place_in_words(r[::-1] if swap else r,A['relation'][i],A['background'][i],None)
enc=lambda s: m.tokenizer.encode([cap(i,s) for i in idx])
c,sw=enc(False),enc(True); print(cap(idx[0],False),'|',cap(idx[0],True))
boxes=scene_boxes('test',N)[torch.tensor(idx)]
mask=torch.zeros(n,8,8,dtype=bool)
for i in range(n):
    for b in boxes[i]: mask[i,b[0]//4:(b[2]+3)//4,b[1]//4:(b[3]+3)//4]=True
eps=torch.randn(x0.shape,generator=torch.Generator().manual_seed(0))
with torch.no_grad():
  for t in (400,500,600,700,800):
    tt=torch.full((n,),t); xt=add_noise(m.schedule,x0,tt,eps); w=m.target.ask(m.schedule,x0,eps,tt)
    e=[(m.net(xt,tt,cc)-w).square().mean(1)[mask].mean().item() for cc in (c,sw,c.roll(1,0),c*0)]
    print(t,'right %.3f order swapped +%.3f other caption +%.3f none +%.3f'%(e[0],e[1]-e[0],e[2]-e[0],e[3]-e[0]),flush=True)
