// The drawing core of every film in the course. It knows no kernel and no network; whoever embeds it calls
//
//     const film = mount(element, data, {index, onchange})      what stood in the element goes
//     film.show(i)   film.play()   film.stop()
//
// data  {size: [w, h], count, columns, scale, fps, labels: [text of frame i], panels: [...], curve: {...} or null}
// panel {title, empty: [frames in which it has nothing to show], ...source}; `painters` says which sources there are
// curve {title, ends: [left, right], line: [[x, y]], at: [[x, y or null] of frame i]}, x and y from 0 to 1

// A painter promises paint(ctx, i, cell): it draws frame i, cell(k) being where picture k of the batch has its corner.
const painters = {
  // One PNG that holds all frames, `across` in a row, each the batch as a grid of its own without gaps.
  async src(panel, {size: [w, h], count, columns}) {
    const image = new Image();
    image.src = panel.src;
    await image.decode();
    const sheet = await createImageBitmap(image);  // an <img> may be decoded anew at any drawing
    const width = w * columns, height = h * Math.ceil(count / columns);
    return (ctx, i, cell) => {
      const left = i % panel.across * width, top = Math.floor(i / panel.across) * height;
      for (let k = 0; k < count; k++) {
        const x = left + k % columns * w, y = top + Math.floor(k / columns) * h;
        ctx.drawImage(sheet, x, y, w, h, ...cell(k), w, h);
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
  const node = make('figure', {}, make('figcaption', {}, panel.title), canvas);
  const ctx = canvas.getContext('2d'), empty = new Set(panel.empty);
  const cell = k => [k % columns * (w + 1), Math.floor(k / columns) * (h + 1)];  // the page shows through the gaps
  let paint = () => {};
  const source = Object.keys(painters).find(name => name in panel);
  return {
    node,
    ready: painters[source](panel, data).then(painter => { paint = painter; }),
    show(i) {
      const none = empty.has(i);
      node.classList.toggle('empty', none);
      if (none) ctx.clearRect(0, 0, canvas.width, canvas.height);
      else paint(ctx, i, cell);
      canvas.setAttribute('aria-label', `${panel.title}, ${none ? 'no estimate yet' : data.labels[i]}`);
    },
    // A picture's pixel is a whole number of the screen's pixels, as many as `room` allows.
    fit(room) {
      const ratio = window.devicePixelRatio || 1, most = Math.floor(Math.min(data.scale, room / canvas.width) * ratio) / ratio;
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

function mount(element, data, {index = 0, onchange} = {}) {
  const last = data.labels.length - 1, speeds = [1, 2, 4, 0.5];
  let now, timer = null, speed = 1, loop = false;

  // JupyterLab's command mode takes the arrow keys, unless the focused element itself says no.
  const own = {'data-lm-suppress-shortcuts': 'true', ...last ? {} : {disabled: ''}};
  const button = (text, name) => make('button', {type: 'button', 'aria-label': name, title: name, ...own}, text);
  const playing = button('▶', 'play'), quick = button('1×', 'speed 1×'), again = button('↻', 'loop');
  again.setAttribute('aria-pressed', 'false');
  const slider = make('input', {type: 'range', min: 0, max: last, step: 1, 'aria-label': 'frame', ...own});
  const label = make('div', {class: 'label'});
  const panels = data.panels.map(panel => makePanel(panel, data));
  const jump = i => { stop(); show(i); };
  const curve = data.curve && makeCurve(data.curve, jump);
  const root = make('div', {class: 'ddpm-scrub', role: 'group', 'aria-label': 'film of a diffusion walk'},
    make('div', {class: 'panels'}, ...panels.map(panel => panel.node)), label,
    make('div', {class: 'controls'}, playing, slider, quick, again, ...curve ? curve.nodes : []));

  function show(i) {
    now = Math.max(0, Math.min(last, i));
    slider.value = now;
    for (const panel of panels) panel.show(now);
    if (curve) curve.show(now);
    label.textContent = data.labels[now];
    slider.setAttribute('aria-valuetext', `${data.labels[now]}, frame ${now + 1} of ${last + 1}`);
    root.dataset.index = now;
    if (onchange) onchange(now);
  }
  function face(text, name) {
    playing.textContent = text;
    playing.title = name;
    playing.setAttribute('aria-label', name);
  }
  function stop() {
    clearTimeout(timer);
    timer = null;
    face('▶', 'play');
  }
  function tick() {
    if (!root.isConnected || now === last && !loop) return stop();
    show(now === last ? 0 : now + 1);
    timer = setTimeout(tick, now === last && loop ? 1000 : 1000 / (data.fps * speed));  // a look at the end
  }
  function play() {
    if (!last) return;
    face('⏸', 'pause');
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
  root.addEventListener('keydown', event => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
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

  element.replaceChildren(root);
  const fit = () => panels.forEach(panel => panel.fit(element.clientWidth - 8));
  fit();
  new ResizeObserver(fit).observe(element);
  const ready = Promise.all(panels.map(panel => panel.ready)).then(() => {
    show(index);
    root.dataset.ready = '1';
  });
  return {root, ready, show, play, stop};
}
