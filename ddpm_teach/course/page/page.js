// The page: what its controls ask for is drawn, every frame is kept, and the slider moves through them.
//
// In the browser's console, `await page.draw({steps: 50, seed: 7})` draws with other settings and gives the picture; `x_T`
// is the noise to begin with, `noise` a function that gives more of it, a Float32Array at a call.

const $ = id => document.getElementById(id);
const data = JSON.parse(text('data')), {alphaBar} = data, [channels, height, width] = data.shape, area = height * width;
const page = {frames: [], draw};  // and index, of the frame that is shown; settings; picture, what was drawn last
window.page = page;
let net, parts, turn = 0, known = null, cursor = [8, 8], timer;
const painted = new Set();  // places, row by row

function say(state, words) {
  document.body.dataset.state = state;
  $('status').textContent = words;
}

// What the controls say.
function asked() {
  const draws = normal(+$('seed').value || 0), size = channels * area;
  const keep = known && Float32Array.from({length: size}, (_, i) => painted.has(i % area) ? 0 : 1);
  return {
    context: parts.context, steps: +$('steps').value, scale: +$('scale').value, eta: +$('eta').value,
    x_T: draws(size), noise: () => draws(size), known, keep,
  };
}

async function draw(options = {}) {
  const mine = ++turn, started = performance.now();
  if ('seed' in options) $('seed').value = options.seed;
  const settings = page.settings = {...asked(), ...options};
  clearInterval(timer);
  say('drawing', 'drawing …');
  page.frames = [];
  try {
    for await (const frame of ddim(net, settings.x_T, trailing(data.T, settings.steps), alphaBar, settings)) {
      if (mine !== turn) return null;  // something else was asked for since
      page.frames.push(frame);
      $('frame').max = settings.steps;
      show(page.frames.length - 1);
    }
  } catch (error) {
    return mine === turn ? say('refused', `The network stopped: ${error.message}. Open the page anew.`) : null;
  }
  const calls = settings.steps * (settings.scale === 0 || settings.scale === 1 ? 1 : 2);
  say('drawn', `${settings.steps} steps, ${calls} predictions, ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return page.picture = page.frames.at(-1).x;
}

function paint(canvas, x) {
  const ctx = canvas.getContext('2d'), picture = new ImageData(width, height);
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 4; c++) {  // a picture of one channel is grey
      picture.data[4 * i + c] = c === 3 ? 255 : x ? 127.5 * (x[(c % channels) * area + i] + 1) : 128;
    }
  }
  const small = new OffscreenCanvas(width, height);
  small.getContext('2d').putImageData(picture, 0, 0);
  ctx.imageSmoothingEnabled = false;
  ctx.drawImage(small, 0, 0, canvas.width, canvas.height);
  return ctx;
}

function show(i) {
  const frame = page.frames[i];
  if (!frame) return;
  page.index = i;
  $('frame').value = i;
  const words = `t = ${frame.t} · ᾱ = ${alphaBar[frame.t].toPrecision(3)} · frame ${i + 1} of ${page.settings.steps + 1}`;
  $('now').textContent = words;
  $('frame').setAttribute('aria-valuetext', words);
  const ctx = paint($('x'), frame.x), unit = $('x').width / width;
  paint($('x0'), frame.x0);
  ctx.fillStyle = 'rgb(255 0 200 / .45)';
  for (const place of painted) ctx.fillRect(place % width * unit, Math.floor(place / width) * unit, unit, unit);
  if (document.activeElement === $('x')) {  // white in black, to be seen on every colour
    for (const [style, line] of [['#000', 5], ['#fff', 2]]) {
      Object.assign(ctx, {strokeStyle: style, lineWidth: line});
      ctx.strokeRect(cursor[1] * unit, cursor[0] * unit, unit, unit);
    }
  }
  $('x').setAttribute('aria-label', `the picture at ${words}; place: row ${cursor[0] + 1}, column ${cursor[1] + 1}`);
  $('x0').setAttribute('aria-label', frame.x0 ? `the picture predicted at t = ${frame.from}` : 'nothing is predicted yet');
  const pixel = {row: cursor[0] + 1, column: cursor[1] + 1, index: cursor[0] * width + cursor[1]};
  $('equation').innerHTML = equation(frame, page.frames[i - 1], alphaBar, page.settings, pixel);
}

// The selects: for each column that pictures of the class differ in, "any", with what is lent, and its words.
function showParts() {
  const {record} = parts;
  $('columns').replaceChildren(...parts.columns.flatMap(column => {
    const options = parts.options(column);
    if (options.length < 2) return [];
    const select = document.createElement('select'), label = document.createElement('label');
    const lent = column in parts.chosen ? '' : ` (${parts.word(column, record[column])})`;
    select.id = `part-${column}`;
    select.append(new Option(`any${lent}`, ''), ...options.map(k => new Option(parts.word(column, k), k)));
    select.value = parts.chosen[column] ?? '';
    select.onchange = () => {
      parts.choose(column, select.value === '' ? null : +select.value);
      showParts();
      $(select.id).focus();
      draw();
    };
    label.append(column.replace('_', ' '), select);
    return [label];
  }));
  $('caption').textContent = parts.caption;
}

function brush(erase = false) {
  if (!painted.size && !erase) known = page.picture;
  if (!known) return;
  for (let row = cursor[0] - 1; row <= cursor[0] + 1; row++) {
    for (let column = cursor[1] - 1; column <= cursor[1] + 1; column++) {
      if (row < 0 || column < 0 || row >= height || column >= width) continue;
      painted[erase ? 'delete' : 'add'](row * width + column);
    }
  }
  painting();
}

function painting() {
  if (!painted.size) known = null;
  $('clear').disabled = !painted.size;
  $('noise').textContent = painted.size ? 'Draw the painted part' : 'New noise';
  show(page.index);
}

const within = (i, size) => Math.max(0, Math.min(size - 1, i));

function listen() {
  const redraw = () => draw(), canvas = $('x');
  for (const id of ['steps', 'scale', 'eta']) {
    const tell = () => { $(`${id}-value`).textContent = $(id).value; };
    $(id).addEventListener('input', tell);
    $(id).addEventListener('change', redraw);
    tell();
  }
  $('seed').addEventListener('change', redraw);
  $('controls').addEventListener('submit', event => event.preventDefault());
  $('class').addEventListener('change', () => { parts.take($('class').selectedIndex); showParts(); draw(); });
  $('another').addEventListener('click', () => { parts.another(); showParts(); draw(); });
  $('noise').addEventListener('click', () => draw({seed: Math.floor(Math.random() * 1e6)}));
  $('clear').addEventListener('click', () => { painted.clear(); painting(); canvas.focus(); });
  $('frame').addEventListener('input', () => { clearInterval(timer); show(+$('frame').value); });
  $('play').addEventListener('click', () => {
    clearInterval(timer);
    let i = 0;
    timer = setInterval(() => {
      if (i >= page.frames.length) clearInterval(timer);
      else show(i++);
    }, 80);
  });

  const move = event => {
    const box = canvas.getBoundingClientRect(), place = (at, size, cells) => within(Math.floor(at / size * cells), cells);
    cursor = [place(event.clientY - box.top, box.height, height), place(event.clientX - box.left, box.width, width)];
    brush();
  };
  canvas.addEventListener('pointerdown', event => { canvas.setPointerCapture(event.pointerId); move(event); });
  canvas.addEventListener('pointermove', event => { if (event.buttons) move(event); });
  canvas.addEventListener('keydown', event => {
    const moves = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}, by = moves[event.key];
    if (by) cursor = [within(cursor[0] + by[0], height), within(cursor[1] + by[1], width)];
    else if (event.key === ' ') brush();
    else if (event.key === 'Backspace' || event.key === 'Delete') brush(true);
    else return;
    event.preventDefault();
    show(page.index);
  });
  for (const kind of ['focus', 'blur']) canvas.addEventListener(kind, () => show(page.index));
  $('licences').addEventListener('toggle', async () => {
    $('licence').textContent = text('licence-text');
    $('notices').textContent = new TextDecoder().decode(await unpacked(text('notices-text')));
  }, {once: true});
}

async function open() {
  $('code').textContent = text('sampler');
  const missing = lacking();
  if (missing) {
    const remedy = 'open the page in Chrome or Edge 109, Firefox 114, Safari 16.4, or a newer one';
    return say('refused', `This browser lacks ${missing}; ${remedy}.`);
  }
  for (const id of ['x', 'x0']) Object.assign($(id), {width: 512, height: 512});
  if (matchMedia('(max-width: 760px)').matches) $('parts').open = $('step').open = false;
  net = startNetwork(data);
  const bytes = await unpacked(text('records')), names = ['class', ...Object.keys(data.attributes)];
  const rows = bytes.length / names.length, columns = names.map((_, k) => bytes.subarray(k * rows, (k + 1) * rows));
  parts = new Parts(data, columns[0], Object.fromEntries(names.map((name, k) => [name, columns[k]])));
  $('class').append(...data.classes.map(name => new Option(name)));
  showParts();
  listen();
  try {
    await net.ready;
  } catch (error) {
    return say('refused', `The network can't be started here (${error.message}); open the page in another browser.`);
  }
  await draw();
}

open();
