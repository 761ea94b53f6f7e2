// The drawing core of every film in the course. It knows no kernel and no network; whoever embeds it calls
//
//     const film = mount(element, data, {index, onchange})      what stood in the element goes
//     film.show(i)   film.play()   film.stop()
//
// data  {size: [w, h], count, columns, scale, fps, start: the frame at first, panels: [...], ...words}, or variants: [words] to choose one from;
//       and, where the pictures have names, rows: [...], cols: [...], alt: what the film shows
// words {name, labels: [text of frame i], curve: {...} or null, rates: [[of signal, of noise] of frame i]}
// panel {title, empty: [frames in which it has nothing to show], ...source}; `painters` says which sources there are
// curve {title, ends: [left, right], line: [[x, y]], at: [[x, y or null] of frame i]}, x and y from 0 to 1

// A painter promises paint(ctx, i, cell, words): it draws frame i, cell(k) being where picture k has its corner.
async function bitmap(src) {
  const image = new Image();
  image.src = src;
  await image.decode();
  return createImageBitmap(image, {colorSpaceConversion: 'none'});  // an <img> may be decoded anew at any drawing
}

const painters = {
  // One PNG that holds all frames, `across` in a row, each the batch as a grid of its own without gaps. Where the film
  // is shorter than the slider, `at` says which of its frames belongs to frame i.
  async src(panel, {size: [w, h], count, columns}) {
    const sheet = await bitmap(panel.src), width = w * columns, height = h * Math.ceil(count / columns);
    return (ctx, frame, cell) => {
      const i = panel.at ? panel.at[frame] : frame;
      const left = i % panel.across * width, top = Math.floor(i / panel.across) * height;
      for (let k = 0; k < count; k++) {
        const x = left + k % columns * w, y = top + Math.floor(k / columns) * h;
        ctx.drawImage(sheet, x, y, w, h, ...cell(k), w, h);
      }
    };
  },
  // The forward process, computed here: x_t = rate of signal · x₀ + rate of noise · ε. The batch is a column in both PNGs;
  // a level v of x₀ means 2v / 255 - 1, of ε `reach` times that.
  async mix(panel, {size: [w, h], count}) {
    const [x0, eps] = await Promise.all([panel.mix.x0, panel.mix.eps].map(async src => {
      const canvas = make('canvas', {width: w, height: h * count}), ctx = canvas.getContext('2d');
      ctx.drawImage(await bitmap(src), 0, 0);
      return Float32Array.from(ctx.getImageData(0, 0, w, h * count).data, v => 2 * v / 255 - 1);
    }));
    const picture = new ImageData(w, h), size = 4 * w * h;
    return (ctx, i, cell, {rates}) => {
      const [signal, noise] = rates[i];
      for (let k = 0; k < count; k++) {
        for (let j = 0; j < size; j++) {
          const x = signal * x0[k * size + j] + noise * panel.mix.reach * eps[k * size + j];
          picture.data[j] = j % 4 === 3 ? 255 : 127.5 * (x + 1);  // the array rounds, and clamps to 0…255
        }
        ctx.putImageData(picture, ...cell(k));
      }
    };
  },
};

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function makePanel(panel, data) {
  const [w, h] = data.size, {count, columns} = data;
  const canvas = make('canvas', {
    role: 'img', width: columns * (w + 1) - 1, height: Math.ceil(count / columns) * (h + 1) - 1,
  });
  const names = (list, kind) => list ? [make('div', {class: kind, 'aria-hidden': 'true'}, ...list.map(name => make('span', {}, name)))] : [];
  const node = make('figure', {}, make('figcaption', {}, panel.title),
    make('div', {class: 'grid'}, ...names(data.cols, 'cols'), ...names(data.rows, 'rows'), canvas));
  const ctx = canvas.getContext('2d'), empty = new Set(panel.empty);
  const cell = k => [k % columns * (w + 1), Math.floor(k / columns) * (h + 1)];  // the page shows through the gaps
  const named = Object.entries({'columns': data.cols, 'rows': data.rows}).map(([kind, list]) => list ? `; ${kind}: ${list.join(', ')}` : '').join('');
  let paint = () => {};
  const source = Object.keys(painters).find(name => name in panel);
  return {
    node,
    ready: painters[source](panel, data).then(painter => { paint = painter; }),
    show(i, words) {
      const none = empty.has(i);
      node.classList.toggle('empty', none);
      if (none) ctx.clearRect(0, 0, canvas.width, canvas.height);
      else paint(ctx, i, cell, words);
      canvas.setAttribute('aria-label', `${panel.title}, ${none ? 'no estimate yet' : words.labels[i]}${named}`);
    },
    // A picture's pixel is a whole number of the screen's pixels, as many as `room` allows.
    fit(room) {
      const beside = node.querySelector('.rows')?.offsetWidth || 0, ratio = window.devicePixelRatio || 1;
      const most = Math.floor(Math.min(data.scale, (room - beside) / canvas.width) * ratio) / ratio;
      canvas.style.width = most ? `${canvas.width * most}px` : '100%';
    },
  };
}

function makeCurve({title, ends, line, at}, show) {
  const svg = `<svg viewBox="0 0 1 1" preserveAspectRatio="none"><polyline points="${line.map(([x, y]) => [x, 1 - y])}"/></svg>`;
  const cursor = make('div', {class: 'cursor'}), dot = make('div', {class: 'dot'});
  const node = make('div', {class: 'curve', 'aria-hidden': 'true'});
  node.innerHTML = svg;
  node.append(cursor, dot);
  const move = event => {
    const box = node.getBoundingClientRect(), x = (event.clientX - box.left) / box.width;
    const far = at.map(point => Math.abs(point[0] - x));
    show(far.indexOf(Math.min(...far)));
  };
  node.addEventListener('pointerdown', event => { node.setPointerCapture(event.pointerId); move(event); });
  node.addEventListener('pointermove', event => { if (event.buttons) move(event); });
  return {
    nodes: [node, make('div', {class: 'ends'}, ...[ends[0], title, ends[1]].map(text => make('span', {}, text)))],
    show(i) {
      const [x, y] = at[i];
      cursor.style.left = dot.style.left = `${100 * x}%`;
      dot.style.top = `${100 - 100 * y}%`;
      dot.hidden = y === null;
    },
  };
}

const eyes = new WeakMap();  // element -> who watches its width; a film that has gone would stay in memory with its own

function mount(element, data, {index = data.start, onchange} = {}) {
  const variants = data.variants || [data], speeds = [1, 2, 4, 0.5];
  let words = variants[0], now, timer = null, speed = 1, loop = false;
  const last = words.labels.length - 1;

  // JupyterLab's command mode takes the arrow keys, unless the focused element itself says no.
  const own = {'data-lm-suppress-shortcuts': 'true', ...last ? {} : {disabled: ''}};
  const button = (text, name) => make('button', {type: 'button', 'aria-label': name, title: name, ...own}, text);
  const playing = button('', 'play'), quick = button('1×', 'speed 1×'), again = button('↻', 'loop');
  again.setAttribute('aria-pressed', 'false');
  const slider = make('input', {type: 'range', min: 0, max: last, step: 1, 'aria-label': 'frame', ...own});
  const label = make('div', {class: 'now'});
  const panels = data.panels.map(panel => makePanel(panel, data));
  const jump = i => { stop(); show(i); };
  const curves = variants.map(variant => variant.curve && makeCurve(variant.curve, jump));
  const choice = make('select', {'aria-label': 'which schedule', 'data-lm-suppress-shortcuts': 'true'},
    ...variants.map(variant => make('option', {}, variant.name || '')));
  const controls = make('div', {class: 'controls'}, playing, slider, quick, again);
  const root = make('div', {class: 'ddpm-scrub', role: 'group', 'aria-label': data.alt || 'film of a diffusion walk'},
    ...variants.length > 1 ? [make('label', {class: 'choice'}, 'schedule ', choice)] : [],
    make('div', {class: 'panels'}, ...panels.map(panel => panel.node)), label, controls);
  let curve;

  function show(i) {
    now = Math.max(0, Math.min(last, i));
    slider.value = now;
    for (const panel of panels) panel.show(now, words);
    if (curve) curve.show(now);
    label.textContent = words.labels[now];
    slider.setAttribute('aria-valuetext', `${words.labels[now]}, frame ${now + 1} of ${last + 1}`);
    root.dataset.index = now;
    if (onchange) onchange(now);
  }
  function use(k) {
    words = variants[k];
    if (curve) curve.nodes.forEach(node => node.remove());
    curve = curves[k];
    if (curve) controls.append(...curve.nodes);
  }
  function face(path, name) {  // drawn, since not every machine's fonts have the signs
    playing.innerHTML = `<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${path}"/></svg>`;
    playing.title = name;
    playing.setAttribute('aria-label', name);
  }
  function stop() {
    clearTimeout(timer);
    timer = null;
    face('M4 2v12l10-6z', 'play');
  }
  function tick() {
    if (!root.isConnected || now === last && !loop) return stop();
    show(now === last ? 0 : now + 1);
    timer = setTimeout(tick, now === last && loop ? 1000 : 1000 / (data.fps * speed));  // a look at the end
  }
  function play() {
    if (!last) return;
    face('M3 2h4v12H3zM9 2h4v12H9z', 'pause');
    if (now === last) show(0);
    timer = setTimeout(tick, 1000 / (data.fps * speed));
  }

  const toggle = () => timer === null ? play() : stop();
  playing.addEventListener('click', toggle);
  quick.addEventListener('click', () => {
    speed = speeds[(speeds.indexOf(speed) + 1) % speeds.length];
    quick.textContent = `${speed === 0.5 ? '½' : speed}×`;
    quick.setAttribute('aria-label', quick.title = `speed ${quick.textContent}`);
  });
  again.addEventListener('click', () => again.setAttribute('aria-pressed', loop = !loop));
  slider.addEventListener('input', () => jump(+slider.value));
  choice.addEventListener('change', () => { use(choice.selectedIndex); show(now); });
  root.addEventListener('keydown', event => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target === choice) return;
    const keys = {
      ArrowRight: now + 1, ArrowUp: now + 1, ArrowLeft: now - 1, ArrowDown: now - 1,
      PageUp: now + 10, PageDown: now - 10, Home: 0, End: last,
    };
    if (event.key in keys) jump(keys[event.key]);
    else if (event.key === ' ' && event.target === slider) toggle();
    else return;
    event.preventDefault();
    event.stopPropagation();  // the classic notebook listens further up
  });

  use(0);
  stop();
  element.replaceChildren(root);
  const fit = () => panels.forEach(panel => panel.fit(element.clientWidth - 8));
  fit();
  eyes.get(element)?.disconnect();
  eyes.set(element, new ResizeObserver(fit));
  eyes.get(element).observe(element);
  const ready = Promise.all(panels.map(panel => panel.ready)).then(() => {
    show(index);
    root.dataset.ready = '1';
  });
  return {root, ready, show, play, stop};
}
