import sys,time,torch
sys.path.insert(0,'.')
torch.set_num_threads(2)
from pathlib import Path
from ddpm_teach import nets, add_noise, linear, load, load_autoencoder, V
from ddpm_teach.data.tokens import Tokenizer
from ddpm_teach.data.latents import encoded
from ddpm_teach.data.scenes import load_scenes, scene_boxes
from ddpm_teach.training.options import TIMES
import ddpm_teach.nets.text_unet as tu
cache=Path('/tmp/lat.pt')
tok=Tokenizer()
if not cache.exists():
    ae=load_autoencoder('autoencoder'); s=time.time()
    tr=encoded(load('scenes').captioned(tok),ae); te=load_scenes('test',192)
    boxes=scene_boxes('test',192); mask=torch.zeros(192,8,8,dtype=bool)
    for i in range(192):
        for b in boxes[i]:
            if b[0]>=0: mask[i,b[0]//4:(b[2]+3)//4,b[1]//4:(b[3]+3)//4]=True
    torch.save((tr.images,tr.contexts(slice(None)).short(),ae.encode(te.pictures(slice(None))).detach(),tok.encode(te.attributes['caption'].tolist()),mask),cache); print('encoded',time.time()-s,flush=True)
X,C,x0t,ct,mask=torch.load(cache)
sch=linear()
def variant(name):
    kw={}; bs=128; lr=1.5e-3; post=lambda n:n; opt={}
    for part in name.split('+'):
        k,_,v=part.partition('=')
        if k=='b': bs=int(v)
        elif k=='lr': lr=float(v)
        elif k=='w': kw['widths']=tuple(map(int,v.split(',')))
        elif k=='two': opt['two']=True
        elif k=='pos': opt['pos']=float(v)
        elif k=='heads': kw['heads']=int(v)
        elif k=='td': kw['text_depth']=int(v)
        elif k=='dit': opt['dit']=tuple(map(int,v.split(',')))
    if 'dit' in opt:
        w,d=opt['dit']; net=nets.DiffusionTransformer(341,width=w,depth=d)
    elif 'two' in opt:
        old=tu.TextLevel.__init__
        def init(self,*a): old(self,*a[:-1],True)
        tu.TextLevel.__init__=init
        net=nets.TextUNet(341,**kw); tu.TextLevel.__init__=old
    else: net=nets.TextUNet(341,**kw)
    if 'pos' in opt: net.text.positions.data.mul_(opt['pos']/0.1)
    return net,bs,lr
def test(net):
    net.eval(); g=torch.Generator().manual_seed(0); eps=torch.randn(x0t.shape,generator=g); out=[]
    with torch.no_grad():
        for t in (200,400,600):
            tt=torch.full((192,),t); xt=add_noise(sch,x0t,tt,eps); w=V.ask(sch,x0t,eps,tt)
            r=[(net(xt,tt,c)-w).square().mean(1) for c in (ct,ct.roll(1,0))]
            out.append(f'{t}: {r[0][mask].mean():.3f} gap {(r[1]-r[0])[mask].mean():.3f} ground {r[0][~mask].mean():.3f}')
    net.train(); return ' | '.join(out)
def run(name,secs):
    torch.manual_seed(0); net,bs,lr=variant(name); net=net.to(memory_format=torch.channels_last)
    opt=torch.optim.Adam(net.parameters(),lr=lr,fused=True); g=torch.Generator().manual_seed(1)
    start=time.time(); k=0; marks=[.5,1.0]; spent=0
    while True:
        for p in opt.param_groups: p['lr']=lr*min(1,(k+1)/100)
        i=torch.randint(len(X),(bs,),generator=g); t=TIMES['stratified'](bs,sch,g); x0=X[i].float(); eps=torch.randn(x0.shape,generator=g)
        c=C[i].long()*(torch.rand(bs,1,generator=g)>=.1)
        xt=add_noise(sch,x0,t,eps).contiguous(memory_format=torch.channels_last)
        loss=(net(xt,t,c)-V.ask(sch,x0,eps,t)).square().mean(); opt.zero_grad(); loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(),1.0); opt.step(); k+=1
        if time.time()-start-spent>marks[0]*secs:
            m=marks.pop(0); s=time.time(); print(f'{name} [{sum(p.numel() for p in net.parameters())/1e6:.2f}M] {m*secs:.0f}s {k} steps {(time.time()-start-spent)/k:.3f}s/step  {test(net)}',flush=True); spent+=time.time()-s
            if not marks: return
for name in sys.argv[2:]: run(name,float(sys.argv[1]))
