exec(open('workbench/contest.py').read().split("def run(")[0])
import copy
from ddpm_teach.model import Model
from ddpm_teach.data.prompts import parse
from ddpm_teach.evaluation.reading import load_reader
from ddpm_teach.evaluation.scenes import scored
def times_of(name,bs,g):
    if 'logit' in name:
        u=(torch.arange(bs)+torch.rand(bs,generator=g))/bs
        z=torch.special.ndtri(u.clamp(1e-4,1-1e-4)); m=float(name.split('logit=')[1].split('+')[0])
        return (1+(torch.sigmoid(z+m)*1000).long()).clamp(1,1000)
    return TIMES['stratified'](bs,sch,g)
AE=load_autoencoder('autoencoder'); R=load_reader(); te=load_scenes('test',100); caps=te.attributes['caption'].tolist(); asked=[parse(c) for c in caps]; real=R.read(te.pictures(slice(None)))
def judge(net):
    m=Model(net.eval(),sch,'v',tokenizer=tok,autoencoder=AE)
    s=scored(R.read(m.draw(caps,seed=0)),real,asked)
    return ' '.join(f'{k} {s[k].drawn.value:.2f}' for k in ('background','relation','kind','main colour','facing','held item'))
from ddpm_teach.data.captions import caption, place_in_words
from ddpm_teach.data.scenes import records
from ddpm_teach.nets.blocks import sinusoids
_te=load_scenes('test',300); _A=_te.attributes
_idx=[i for i in range(300) if _A['relation'][i]!='none' and _A['first kind'][i]!=_A['second kind'][i]][:128]
def _cap(i,swap):
    r=[caption(q,{'kind','color'}) for q in records(_A,i)]
    return place_in_words(r[::-1] if swap else r,_A['relation'][i],_A['background'][i],None)
_c,_sw=(tok.encode([_cap(i,s) for i in _idx]) for s in (False,True)); _x0=AE.encode(_te.pictures(torch.tensor(_idx))).detach()
_bx=scene_boxes('test',300)[torch.tensor(_idx)]; _m=torch.zeros(128,8,8,dtype=bool)
for i in range(128):
    for b in _bx[i]: _m[i,b[0]//4:(b[2]+3)//4,b[1]//4:(b[3]+3)//4]=True
def order(net):
    net.eval(); eps=torch.randn(_x0.shape,generator=torch.Generator().manual_seed(0)); out=[]
    with torch.no_grad():
        for t in (500,800):
            tt=torch.full((128,),t); xt=add_noise(sch,_x0,tt,eps); w=V.ask(sch,_x0,eps,tt)
            e=[(net(xt,tt,cc)-w).square().mean(1)[_m].mean().item() for cc in (_c,_sw,_c.roll(1,0))]
            out.append(f'{t}: {e[0]:.3f} order +{e[1]-e[0]:.4f} other +{e[2]-e[0]:.3f}')
    return ' '.join(out)
def run(name,secs):
    torch.manual_seed(0); net,bs,lr=variant('+'.join(p for p in name.split('+') if not p.startswith(('logit','emb','sin')))); net=net.to(memory_format=torch.channels_last)
    if 'emb=' in name:
        e=float(name.split('emb=')[1].split('+')[0]); T=net.text
        with torch.no_grad():
            T.embed.weight.mul_(e); T.start.mul_(e)
            if 'sin' in name: T.positions.copy_(e*2**.5*sinusoids(T.positions.shape[0],T.positions.shape[1]))
            else: T.positions.copy_(e*torch.randn_like(T.positions))
    ema=copy.deepcopy(net)
    opt=torch.optim.Adam(net.parameters(),lr=lr,fused=True); g=torch.Generator().manual_seed(1)
    start=time.time(); k=0; ran=0.
    while (ran:=(time.time()-start)/secs)<1:
        for p in opt.param_groups: p['lr']=lr*min(1,(k+1)/100)*(1-ran)
        i=torch.randint(len(X),(bs,),generator=g); t=times_of(name,bs,g); x0=X[i].float(); eps=torch.randn(x0.shape,generator=g)
        c=C[i].long()*(torch.rand(bs,1,generator=g)>=.1)
        xt=add_noise(sch,x0,t,eps).contiguous(memory_format=torch.channels_last)
        loss=(net(xt,t,c)-V.ask(sch,x0,eps,t)).square().mean(); opt.zero_grad(); loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(),1.0); opt.step(); k+=1
        d=min(.995,(1+k)/(10+k))
        with torch.no_grad(): torch._foreach_lerp_(list(ema.parameters()),list(net.parameters()),1-d)
    print(f'{name} [{sum(p.numel() for p in net.parameters())/1e6:.2f}M] {secs:.0f}s {k} steps {secs/k:.3f}s/step  {test(ema)} | {order(ema)} || {judge(ema)}',flush=True)
for name in sys.argv[2:]: run(name,float(sys.argv[1]))
