// The sampler of this page: lessons 04 to 07 in JavaScript.
//
// A picture is a Float32Array of channels · height · width numbers in [-1, 1]. alphaBar[t] is ᾱ_t, and alphaBar[0] = 1.
// net(x, t, [c, …]) is the network: a promise of what it predicts at x = x_t for each context c. It predicts
// v = √ᾱ ε - √(1 - ᾱ) x_0, and a context of zeros says nothing.

const mix = (a, x, b, y) => x.map((_, i) => a * x[i] + b * y[i]);
const clip = x => x.map(value => Math.min(1, Math.max(-1, value)));

// From T down to 0 in even moves (lesson 06).
const trailing = (T, steps) =>
  Array.from({length: steps + 1}, (_, k) => Math.floor((2 * T * (steps - k) + steps) / (2 * steps)));

// Classifier-free guidance: v̂ = v̂_∅ + w (v̂_c - v̂_∅), two pictures in one call (lesson 05).
async function guided(net, x, t, c, w) {
  const none = c.map(() => 0);
  if (w === 0 || w === 1) return (await net(x, t, [w ? c : none]))[0];
  const [without, withContext] = await net(x, t, [none, c]);
  return mix(1 - w, without, w, withContext);
}

// DDIM (Song et al. 2021, eq. 12 and 16): from noise at times[0] to a picture at time 0, a frame a move (lesson 06).
// eta is η; noise() draws a picture of normal noise; where `keep` is true the picture `known` stays (lesson 07).
async function* ddim(net, x, times, alphaBar, {context, scale, eta, noise, known, keep}) {
  yield {t: times[0], x};
  for (let k = 1; k < times.length; k++) {
    const t = times[k - 1], s = times[k], from = alphaBar[t], to = alphaBar[s];
    const v = await guided(net, x, t, context, scale);
    const x0 = clip(mix(Math.sqrt(from), x, -Math.sqrt(1 - from), v));  // the picture that x seems to hold
    const eps = mix(1 / Math.sqrt(1 - from), x, -Math.sqrt(from / (1 - from)), x0);  // and the rest, its noise
    const sigma = eta * Math.sqrt((1 - to) / (1 - from) * (1 - from / to));
    const z = sigma > 0 ? noise() : null;
    x = mix(Math.sqrt(to), x0, Math.sqrt(Math.max(0, 1 - to - sigma ** 2)), eps);
    if (z) x = mix(1, x, sigma, z);
    if (keep) {
      const original = s > 0 ? mix(Math.sqrt(to), known, Math.sqrt(1 - to), noise()) : known;
      x = x.map((value, i) => keep[i] ? original[i] : value);
    }
    yield {t: s, x, x0, eps, z, sigma, from: t};
  }
}

// Normal noise from a seed: the generator sfc32 (C. Doty-Humphrey), and Box and Muller's transform.
function normal(seed) {
  let a = seed >>> 0, b = 0x9e3779b9, c = 0x243f6a88, counter = 1;
  const uniform = () => {
    const sum = (a + b + counter++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21 | c >>> 11) + sum) | 0;
    return ((sum >>> 0) + 0.5) / 2 ** 32;
  };
  for (let i = 0; i < 16; i++) uniform();  // seeds that are alike have parted by then
  return size => new Float32Array(size).map(() =>
    Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
}
