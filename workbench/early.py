import sys,torch,time
sys.path.insert(0,'.')
torch.set_num_threads(1)
from ddpm_teach import load_checkpoint
from ddpm_teach.data.scenes import load_scenes
from ddpm_teach.data.prompts import parse
from ddpm_teach.evaluation.reading import load_reader
from ddpm_teach.evaluation.scenes import scored
state=load_checkpoint(sys.argv[1]); print('step',state.step)
n=int(sys.argv[2]); test=load_scenes('test',n); caps=test.attributes['caption'].tolist()
m=state.model; r=load_reader()
x=m.draw(caps,seed=0)
s=scored(r.read(x),r.read(test.pictures(slice(None))),[parse(c) for c in caps])
for k,v in s.items(): print(k,v)
