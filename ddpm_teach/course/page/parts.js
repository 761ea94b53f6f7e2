// What is drawn: a class, and words for parts. What isn't chosen is lent by a training picture (lesson 05).

const STYLES = new Set(['hair', 'beard', 'shield']);  // "long" is said of hair
const NOUNS = new Set(['bob', 'ponytail', 'buns', 'fringe', 'moustache']);  // but these are said alone

class Parts {
  // table[column][row] is the number of a picture's word, counted from 1; 0 is none. labels[row] is its class.
  constructor({attributes}, labels, table) {
    Object.assign(this, {attributes, labels, table});
    this.columns = Object.keys(attributes);
    this.label = 0;
    this.chosen = {};  // column → the number of a word
    this.another();
  }

  get rows() {
    const rows = [];
    this.labels.forEach((label, row) => { if (label === this.label) rows.push(row); });
    return rows;
  }

  take(label) {
    this.label = label;
    this.chosen = {};
    this.another();
  }

  choose(column, number) {
    if (number === null) delete this.chosen[column];
    else this.chosen[column] = number;
  }

  // Another picture lends: one of those that have most of what is chosen.
  another() {
    const rows = this.rows, chosen = Object.entries(this.chosen);
    const score = row => chosen.filter(([column, number]) => this.table[column][row] === number).length;
    const most = rows.reduce((best, row) => Math.max(best, score(row)), 0);
    const fitting = rows.filter(row => score(row) === most);
    this.lender = fitting[Math.floor(Math.random() * fitting.length)];
  }

  // column → number. A part that the lender doesn't have comes from the next picture that does, with its colour.
  get record() {
    const record = Object.fromEntries(this.columns.map(column => [column, this.table[column][this.lender]]));
    const rows = this.rows, next = rows.indexOf(this.lender), others = [...rows.slice(next), ...rows.slice(0, next)];
    for (const [column, number] of Object.entries(this.chosen)) {
      const part = column.replace(/_color$/, ''), pair = [part, `${part}_color`].filter(name => name in record);
      const other = others.find(row => this.table[column][row] === number);
      if (record[column] !== number) for (const name of pair) record[name] = this.table[name][other];
    }
    return {...record, ...this.chosen};
  }

  // Which numbers a column has in pictures of this class.
  options(column) {
    return [...new Set(this.rows.map(row => this.table[column][row]))].sort((a, b) => a - b);
  }

  word(column, number) {
    return number ? this.attributes[column][number - 1] : 'none';
  }

  // A place for each word of each column: 1 where the picture has it.
  get context() {
    const {record} = this;
    return Float32Array.from(this.columns.flatMap(column =>
      this.attributes[column].map((_, k) => +(record[column] === k + 1))));
  }

  get caption() {
    const {record} = this, words = column => record[column] ? [this.word(column, record[column])] : [];
    const rest = ['outfit', 'hair', 'beard', 'hat', 'cape', 'item', 'shield', 'pattern', 'skin', 'facing', 'pose']
      .filter(column => record[column] && this.options(column).length > 1);
    const noun = (column, word) => STYLES.has(column) && !NOUNS.has(word) ? [column] : [];
    const named = column => [...words(`${column}_color`), ...words(column), ...noun(column, words(column)[0])].join(' ');
    const colors = [...words('color'), ...words('second_color')].join(' and ');
    return [`${colors} ${words('kind')}`.trim(), ...rest.map(named)].join(' · ');
  }
}
