// Elements, and how a page that is drawn anew each second keeps its elements, so that focus, scroll and what is typed stay.
//
// Nothing here or elsewhere parses markup: text from the API only ever becomes a text node or the value of an attribute.

const SVG = 'http://www.w3.org/2000/svg';
const KEY = Symbol('key');
const HANDLERS = ['onclick', 'onchange', 'oninput', 'onsubmit'];

/** An element of HTML. `key` tells it from its siblings; handlers and `style` are objects, all else are attributes. */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same of SVG. */
export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'key') element[KEY] = value;
    else if (HANDLERS.includes(name)) element[name] = value;
    else if (name === 'style') for (const [property, set] of Object.entries(value)) element.style.setProperty(property, set);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...nodes(children));
  return element;
}

function nodes(children) {
  const all = children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false);
  return all.map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

/** Makes the children of an element equal to these, keeping those that are the same already. */
export function show(element, ...children) {
  const fresh = document.createDocumentFragment();
  fresh.append(...nodes(children));
  align(element, fresh);
}

function align(old, fresh) {
  const wanted = new Set([...fresh.childNodes].map((child) => child[KEY]).filter((key) => key !== undefined));
  const kept = new Map();
  for (const child of [...old.childNodes]) {
    const key = child[KEY];
    if (key === undefined) continue;
    // Gone first: then those behind it need not move, and keep their focus.
    if (wanted.has(key)) kept.set(key, child);
    else child.remove();
  }
  let at = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    const key = next[KEY];
    const match = key === undefined ? at : kept.get(key);
    if (!match || !isSame(match, next)) {
      old.insertBefore(next, at);
      continue;
    }
    if (match === at) at = at.nextSibling;
    else old.insertBefore(match, at);
    patch(match, next);
  }
  while (at) {
    const rest = at.nextSibling;
    at.remove();
    at = rest;
  }
}

function isSame(old, fresh) {
  return old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && old[KEY] === fresh[KEY];
}

function patch(old, fresh) {
  if (!(old instanceof Element)) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  // Whoever looks at it opens and closes it.
  const own = (name) => name === 'open' && old.nodeName === 'DETAILS';
  for (const { name, value } of [...fresh.attributes]) {
    if (name === 'style') old.style.cssText = fresh.style.cssText;
    else if (old.getAttribute(name) !== value && !own(name)) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !own(name)) old.removeAttribute(name);
  }
  for (const name of HANDLERS) if (old[name] !== fresh[name]) old[name] = fresh[name];
  // A choice that the address names follows the address.
  const chosen = fresh.nodeName === 'SELECT' && fresh.dataset.filter ? fresh.value : undefined;
  align(old, fresh);
  if (chosen !== undefined && old.value !== chosen) old.value = chosen;
}

/** Lets a screen reader say it. */
export function say(text) {
  document.getElementById('said').textContent = text;
}
