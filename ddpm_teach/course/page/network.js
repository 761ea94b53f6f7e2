// The page's side of worker.js.

const text = id => document.getElementById(id).textContent;

// What this browser lacks of what the page needs, in words; '' if nothing.
function lacking() {
  const simd = [  // a program with a vector in it
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
  ];
  if (typeof WebAssembly === 'undefined') return 'WebAssembly, which may be turned off';
  if (!WebAssembly.validate(new Uint8Array(simd))) return 'WebAssembly with SIMD';
  if (typeof DecompressionStream === 'undefined') return 'DecompressionStream';
  return typeof Worker === 'undefined' ? 'workers' : '';
}

// The network as a function: await net(x, t, contexts) is a list of predictions; net.ready tells when it may be called.
function startNetwork({shape, file}) {
  const url = URL.createObjectURL(new Blob([text('worker')], {type: 'text/javascript'}));
  const worker = new Worker(url), waiting = new Map();  // no module: Chromium starts none from a page that is a file
  const answer = id => new Promise((resolve, reject) => waiting.set(id, {resolve, reject}));
  worker.onmessage = ({data: {id, error, predictions}}) => {
    const {resolve, reject} = waiting.get(id);
    waiting.delete(id);
    error ? reject(Error(error)) : resolve(predictions);
  };
  worker.onerror = event => waiting.forEach(({reject}) => reject(Error(event.message || 'its worker was stopped')));
  let calls = 0;
  const net = (x, t, contexts) => {
    worker.postMessage({id: ++calls, x, t, contexts, shape});
    return answer(calls);
  };
  net.ready = answer('ready');
  const packed = Object.fromEntries(['runtime', 'wasm', 'graph', 'weights'].map(id => [id, text(id)]));
  worker.postMessage({...packed, file});
  return net;
}
