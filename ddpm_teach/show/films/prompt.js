// A text field that completes words: a combobox with a list of its own, since a <datalist> completes whole values.

const MOST = 8;  // words in the menu
let fields = 0;  // ids are the page's, and a widget may be shown twice

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// The word around the cursor, by the letters and digits that the tokenizer takes for one: where it begins and ends, and
// what of it stands before the cursor.
function wordAt(text, cursor) {
  const before = text.slice(0, cursor).match(/[\p{L}\p{N}]*$/u)[0], after = text.slice(cursor).match(/^[\p{L}\p{N}]*/u)[0];
  return {start: cursor - before.length, end: cursor + after.length, begun: before.toLowerCase(), whole: (before + after).toLowerCase()};
}

function render({model, el}) {
  const id = `ddpm-prompt-${fields++}`;
  const input = make('input', {
    type: 'text', id, role: 'combobox', 'aria-autocomplete': 'list', 'aria-expanded': 'false', 'aria-controls': `${id}-menu`,
    autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false',
  });
  const menu = make('ul', {id: `${id}-menu`, role: 'listbox', popover: 'manual', 'aria-label': 'words'});
  menu.hidden = true;
  // JupyterLab's command mode takes keys, unless the focused element itself says no.
  const root = make('div', {class: 'ddpm-prompt', 'data-lm-suppress-shortcuts': 'true'},
    make('label', {for: id}, model.get('description')), input, menu);
  input.setAttribute('data-lm-suppress-shortcuts', 'true');
  let offered = [], active = -1;

  function close() {
    if (menu.showPopover && !menu.hidden) menu.hidePopover();
    menu.hidden = true;
    input.setAttribute('aria-expanded', 'false');
    input.removeAttribute('aria-activedescendant');
    offered = [];
    active = -1;
  }
  function move(to) {
    active = (to + offered.length) % offered.length;
    [...menu.children].forEach((option, k) => option.setAttribute('aria-selected', k === active));
    input.setAttribute('aria-activedescendant', menu.children[active].id);
  }
  function open() {
    const {begun, whole} = wordAt(input.value, input.selectionStart);
    close();
    if (!begun) return;
    offered = model.get('words').filter(word => word.startsWith(begun) && word !== whole).slice(0, MOST);
    if (!offered.length) return;
    menu.replaceChildren(...offered.map((word, k) => make('li', {id: `${id}-${k}`, role: 'option', 'aria-selected': 'false'},
      make('b', {}, begun), word.slice(begun.length))));
    menu.hidden = false;
    if (menu.showPopover) {  // above all, since the boxes around clip what sticks out; else it stands below the field
      const box = input.getBoundingClientRect();
      Object.assign(menu.style, {left: `${box.left}px`, top: `${box.bottom + 2}px`});
      menu.showPopover();
    }
    input.setAttribute('aria-expanded', 'true');
  }
  function take(word) {
    const {start, end} = wordAt(input.value, input.selectionStart), rest = input.value.slice(end);
    const taken = word + (rest ? '' : ' ');
    input.value = input.value.slice(0, start) + taken + rest;
    input.setSelectionRange(start + taken.length, start + taken.length);
    close();
  }
  function tell() {
    close();
    if (model.get('value') === input.value) return;
    model.set('value', input.value);
    model.save_changes();
  }

  input.addEventListener('input', open);
  input.addEventListener('click', close);  // the cursor is elsewhere
  input.addEventListener('blur', tell);
  input.addEventListener('keydown', event => {
    if (event.isComposing || event.altKey || event.ctrlKey || event.metaKey) return;
    event.stopPropagation();  // the classic notebook listens further up
    const up = event.key === 'ArrowUp', down = event.key === 'ArrowDown';
    if (down && !offered.length) open();
    if ((up || down) && offered.length) move(up && active < 0 ? -1 : active + (up ? -1 : 1));
    else if (event.key === 'Tab' && offered.length && !event.shiftKey) take(offered[Math.max(active, 0)]);
    else if (event.key === 'Enter') active < 0 ? tell() : take(offered[active]);
    else if (event.key === 'Escape' && offered.length) close();
    else {
      if (['ArrowLeft', 'ArrowRight', 'Home', 'End'].includes(event.key)) close();
      return;
    }
    event.preventDefault();
  });
  menu.addEventListener('pointerdown', event => {
    event.preventDefault();  // the field keeps the focus
    const option = event.target.closest('li');
    if (option) take(offered[[...menu.children].indexOf(option)]);
  });
  const gone = event => { if (offered.length && event.target !== menu) close(); };
  window.addEventListener('scroll', gone, true);  // the menu stays where it is on the screen

  const refresh = () => { input.value = model.get('value'); };
  model.on('change:value', refresh);
  refresh();
  el.append(root);
  return () => {
    model.off('change:value', refresh);
    window.removeEventListener('scroll', gone, true);
  };
}

export default {render};
