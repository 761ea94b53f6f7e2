// The network, in a thread of its own: onnxruntime-web, WebAssembly on one thread; more need headers that files lack.
// The first message brings what the page packs, and each one after it {id, x, t, contexts}: one call.

function joined(lists) {
  const all = new Float32Array(lists.length * lists[0].length);
  lists.forEach((list, k) => all.set(list, k * list.length));
  return all;
}

async function start({runtime, wasm, graph, weights, file}) {
  const [source, binary, network, data] = await Promise.all([runtime, wasm, graph, weights].map(unpacked));
  const ort = await import(URL.createObjectURL(new Blob([source], {type: 'text/javascript'})));
  ort.env.wasm.wasmBinary = binary.buffer;
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(network, {
    executionProviders: ['wasm'], externalData: [{path: file, data}],
  });
  return async ({x, t, contexts, shape}) => {
    const n = contexts.length;
    const {v} = await session.run({
      x: new ort.Tensor('float32', joined(contexts.map(() => x)), [n, ...shape]),
      t: new ort.Tensor('int64', BigInt64Array.from(contexts, () => BigInt(t)), [n]),
      c: new ort.Tensor('float32', joined(contexts), [n, contexts[0].length]),
    });
    return contexts.map((_, k) => v.data.slice(k * x.length, (k + 1) * x.length));
  };
}

let network;
onmessage = async ({data}) => {
  try {
    if (!network) {
      network = start(data);
      await network;
      postMessage({id: 'ready'});
    } else {
      postMessage({id: data.id, predictions: await (await network)(data)});
    }
  } catch (error) {
    postMessage({id: data.id ?? 'ready', error: String(error?.message ?? error)});
  }
};
