// The step that led to a frame, as MathML: in symbols, and with its numbers (lessons 05 and 06).

const number = (value, digits = 4) => value.toFixed(digits).replace(/^-(?=0\.?0*$)/, '').replace('-', '−');
const row = (...parts) => `<mrow>${parts.join('')}</mrow>`, math = (...parts) => `<math>${row(...parts)}</math>`;
const mi = name => `<mi>${name}</mi>`, mn = value => `<mn>${value}</mn>`, mo = sign => `<mo>${sign}</mo>`;
const below = (base, index) => `<msub>${base}${index}</msub>`, gap = '<mspace width=".2em"/>';
// Higher than what is under it, so that the bar over α is seen.
const root = (...parts) => `<msqrt>${row('<mspace height="1.1em"/>', ...parts)}</msqrt>${gap}`;
const over = (base, sign) => `<mover accent="true">${base}${mo(sign)}</mover>`;
const xAt = time => below(mi('x'), mn(time)), barAt = time => below(over(mi('α'), '¯'), mn(time));
const x0Hat = below(over(mi('x'), '^'), mn(0)), epsHat = over(mi('ε'), '^'), vHat = over(mi('v'), '^');
const one = mn(1), sigma2 = `<msup>${mi('σ')}${mn(2)}</msup>`;

// A sum of (number, symbol) pairs: 0.31 x̂_0 − 0.95 ε̂.
const sum = pairs => pairs.map(([value, symbol], i) =>
  (i ? mo(value < 0 ? '−' : '+') : value < 0 ? mo('−') : '') + mn(number(Math.abs(value))) + gap + symbol).join('');

// frame: of `ddim`, and the one before; pixel: {row, column, index}, of which the arithmetic is shown.
function equation(frame, before, alphaBar, {scale, keep}, pixel) {
  const {t: s, from: t} = frame, at = alphaBar[t], as = alphaBar[s];
  if (!before) return `<p>The walk begins with normal noise.</p>${math(xAt(s), mo('='), mi('ε'))}`;
  const rate = Math.sqrt(Math.max(0, 1 - as - frame.sigma ** 2));
  const terms = [[Math.sqrt(as), x0Hat, frame.x0], [rate, epsHat, frame.eps]];
  if (frame.z) terms.push([frame.sigma, mi('z'), frame.z]);
  const values = terms.map(([factor, , picture]) => `${number(factor)} · ${picture[pixel.index] < 0 ?
    `(${number(picture[pixel.index], 3)})` : number(picture[pixel.index], 3)}`).join(' + ');
  const empty = below(vHat, mo('∅')), given = below(vHat, mi('c'));
  const lines = [
    `<p>Guidance: what the network predicts without a context, and past what it predicts with one</p>`,
    math(vHat, mo('='), empty, mo('+'), mn(number(scale, 1)), gap, mo('('), given, mo('−'), empty, mo(')')),
    `<p>The picture that this prediction leaves in <i>x</i><sub>${t}</sub>, clipped to [−1, 1]</p>`,
    math(x0Hat, mo('='), root(barAt(t)), xAt(t), mo('−'), root(one, mo('−'), barAt(t)), vHat),
    math(x0Hat, mo('='), sum([[Math.sqrt(at), xAt(t)], [-Math.sqrt(1 - at), vHat]])),
    `<p>DDIM’s step from ${t} to ${s}</p>`,
    math(xAt(s), mo('='), root(barAt(s)), x0Hat, mo('+'), root(one, mo('−'), barAt(s), ...frame.z ? [mo('−'), sigma2] : []),
      epsHat, ...frame.z ? [mo('+'), mi('σ'), gap, mi('z')] : []),
    math(xAt(s), mo('='), sum(terms)),
  ];
  if (keep?.[pixel.index]) {
    lines.push(`<p>But where nothing is painted the known picture stays, as noisy as <i>t</i> = ${s} is</p>`,
      math(xAt(s), mo('='), sum([[Math.sqrt(as), below(mi('x'), mn(0))], [Math.sqrt(1 - as), mi('ε')]])));
  } else {
    lines.push(`<p class="pixel">The red of row ${pixel.row}, column ${pixel.column}: ${number(frame.x[pixel.index], 3)} = ${values}</p>`);
  }
  return lines.join('');
}
