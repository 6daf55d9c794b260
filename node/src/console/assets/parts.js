// What pages are put together from.
import { MOST, now } from './api.js';
import { h } from './dom.js';
import { bytes, clock, count, relative, share } from './format.js';

/** A page's title, with what can be done on it. */
export function heading(title, ...actions) {
  return h('div', { class: 'heading' }, h('h1', null, title), h('div', { class: 'actions' }, ...actions));
}

/** A part of a page with a title of its own. */
export function panel(title, ...content) {
  return h('section', { class: 'panel' }, h('h2', null, title), ...content);
}

/** A word for a state: `good`, `warn`, `bad` or `quiet`. Never only a colour. */
export function chip(kind, text) {
  return h('span', { class: `chip ${kind}` }, text);
}

/** A figure. */
export function tile(title, figure, note, href) {
  const of = [h('span', { class: 'tile-title' }, title), h('span', { class: 'figure' }, figure), note ? h('span', { class: 'note' }, note) : null];
  return href ? h('a', { class: 'tile', href }, ...of) : h('div', { class: 'tile' }, ...of);
}

/** A bar that shows a part of a whole; what it says stands beside it in words. */
export function bar(part, whole, kind = 'plain') {
  const width = `${(100 * share(part, whole)).toFixed(1)}%`;
  return h('span', { class: `bar ${kind}`, 'aria-hidden': 'true' }, h('span', { style: { width } }));
}

/** What is held of a quota. */
export function quota(held, limit, show = bytes) {
  if (limit === undefined) return h('span', null, show(held));
  const part = share(held, limit);
  return [h('span', null, `${show(held)} of ${show(limit)}`), bar(held, limit, part >= 0.9 ? 'bad' : part >= 0.75 ? 'warn' : 'plain')];
}

/** A point in time, relative to now. */
export function when(text) {
  return text ? h('time', { datetime: text, title: clock(text) }, relative(text, now())) : '–';
}

/** A name with something less important below. */
export function named(name, ...below) {
  return [h('span', { class: 'name' }, name), h('span', { class: 'below' }, ...below)];
}

/** An id, in full: people copy them. */
export function id(text) {
  return h('code', null, text);
}

/** `ro` or `rw`. */
export function mode(text) {
  return chip('quiet', text);
}

/**
 * A table. `columns`: `title`, `cell` of a row, and `class`; a column without a visible title is `hidden`. On a narrow screen each
 * row is a card.
 */
export function table({ name, columns, rows, key, empty }) {
  if (rows.length === 0) return h('p', { class: 'empty' }, empty);
  const head = columns.map(({ title, hidden, class: kind }) =>
    h('th', { role: 'columnheader', scope: 'col', class: kind }, hidden ? h('span', { class: 'unseen' }, title) : title),
  );
  const line = (row) =>
    h('tr', { role: 'row', key: key(row) }, ...columns.map(({ title, hidden, cell, class: kind }) =>
      h('td', { role: 'cell', class: kind, 'data-title': hidden ? null : title }, cell(row))));
  return [
    h('table', { role: 'table', 'aria-label': name },
      h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, ...head)),
      h('tbody', { role: 'rowgroup' }, ...rows.map(line))),
    rows.more ? h('p', { class: 'note' }, `These are the first ${count(MOST)}. Narrow the list down to see the others.`) : null,
  ];
}

let fields = 0;

/** A control with its label and, if it needs one, a hint. */
export function field(label, control, hint) {
  const name = (control.id ||= `field-${++fields}`);
  if (hint) control.setAttribute('aria-describedby', `${name}-hint`);
  return h('p', { class: 'field' }, h('label', { for: name }, label), control, hint ? h('span', { class: 'note', id: `${name}-hint` }, hint) : null);
}

/** A choice of `[value, text]`. */
export function select(options, chosen, props) {
  return h('select', props, ...options.map(([value, text]) => h('option', { value, selected: value === chosen }, text)));
}

/** A filter of a list: `name` of the address, and `[value, text]` of which the first is what it is without. */
export function filter(context, name, label, options) {
  const chosen = context.query.get(name) ?? options[0][0];
  const known = options.some(([value]) => value === chosen) ? options : [...options, [chosen, chosen]];
  const onchange = (event) => context.refine(name, event.target.value === options[0][0] ? null : event.target.value);
  return h('label', { class: 'filter' }, h('span', null, label), select(known, chosen, { onchange, 'data-filter': name }));
}

/** Names of things as options, behind one for all of them. */
export function allOr(names) {
  return [['', 'all'], ...[...new Set(names)].sort().map((name) => [name, name])];
}

/** A button. */
export function button(text, onclick, kind = '') {
  return h('button', { type: 'button', class: kind, onclick }, text);
}

/** A workspace's name, which leads to its page. */
export function workspaceLink(address) {
  return h('a', { href: `#/workspace?name=${encodeURIComponent(address)}` }, address);
}
