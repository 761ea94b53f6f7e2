import sys,torch,time
sys.path.insert(0,'.'); torch.set_num_threads(2)
from ddpm_teach.data.tokens import Tokenizer
from ddpm_teach.data.lexicon import tokens
from ddpm_teach.data.scenes import load_scenes, records
from ddpm_teach.nets.text import TextEncoder
from ddpm_teach.nets.blocks import sinusoids
import numpy as np
tok=Tokenizer(); N=6000
from pathlib import Path
if not Path('/tmp/probe.pt').exists():
    A=load_scenes('train',N).attributes; ids=[];tgt=[]
    colors=sorted(set(A['first color'])|set(A['second color'])); rel={'left of':0,'right of':1,'above':2,'below':3}
    rows=tok.encode(A['caption'].tolist())
    T=torch.full((N,2,3),-100) # token place, color, role
    for i in range(N):
        if A['relation'][i]=='none': continue
        said=tokens(A['caption'][i])
        for k,r in enumerate(records(A,i)):
            kind=tokens(r['kind'])[-1]
            if said.count(kind)==1:
                p=said.index(kind)+1
                T[i,k,0]=p; T[i,k,1]=colors.index(r['color']); T[i,k,2]=2*rel[A['relation'][i]]+k
    torch.save((rows,T,len(colors)),'/tmp/probe.pt')
rows,T,nc=torch.load('/tmp/probe.pt'); ok=(T[:,:,0]>0).all(1); rows,T=rows[ok],T[ok]; n=len(rows); ntr=n-400
def run(name,steps=400,lr=1.5e-3):
    torch.manual_seed(0); enc=TextEncoder(341)
    e=1.
    for p in name.split('+'):
        k,_,v=p.partition('=')
        if k=='emb': e=float(v); enc.embed.weight.data.mul_(e); enc.start.data.mul_(e)
        if k=='pos': enc.positions.data.copy_(float(v)*torch.randn_like(enc.positions))
        if k=='sin': enc.positions.data.copy_(float(v)*2**.5*sinusoids(*enc.positions.shape))
    head=torch.nn.Linear(128,nc+8)
    opt=torch.optim.Adam([*enc.parameters(),*head.parameters()],lr=lr); g=torch.Generator().manual_seed(0); s=time.time()
    def out(i):
        x,_=enc(rows[i][:,:40]); p=T[i][:,:,0]
        return head(x.gather(1,p[...,None].expand(-1,-1,128)))
    res=[]
    for k in range(steps+1):
        if k in (100,200,400):
            with torch.no_grad():
                i=torch.arange(ntr,n); o=out(i); t=T[i]
                res.append(f'{k}: colour {(o[...,:nc].argmax(2)==t[...,1]).float().mean():.2f} role {(o[...,nc:].argmax(2)==t[...,2]).float().mean():.2f}')
        i=torch.randint(ntr,(64,),generator=g); o=out(i); t=T[i]
        loss=torch.nn.functional.cross_entropy(o[...,:nc].flatten(0,1),t[...,1].flatten())+torch.nn.functional.cross_entropy(o[...,nc:].flatten(0,1),t[...,2].flatten())
        opt.zero_grad(); loss.backward(); opt.step()
    print(name,f'{time.time()-s:.0f}s',' | '.join(res),flush=True)
for n_ in sys.argv[1:]: run(n_)
