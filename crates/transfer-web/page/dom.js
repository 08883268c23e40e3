// @ts-check
/**
 * How this page changes the document.
 * All text is set by textContent; the one exception is `setServerHtml` in prose.js.
 */
import { text, webAddress } from './outside.js';

const SVG = 'http://www.w3.org/2000/svg';

/**
 * The element with this id, which index.html always has.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found;
}

/**
 * @template {Element} E
 * @param {E} element
 * @param {Record<string, string | number | boolean | null>} attributes
 * @param {(Node | string)[]} children
 * @returns {E}
 */
function furnish(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  element.append(...children);
  return element;
}

/**
 * A new HTML element.
 * @param {string} tag
 * @param {Record<string, string | number | boolean | null>} [attributes]
 * @param {(Node | string)[]} children texts become text nodes, never markup
 * @returns {any}
 */
export function html(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

/**
 * A new SVG element.
 * @param {string} tag
 * @param {Record<string, string | number | boolean | null>} [attributes]
 * @param {(Node | string)[]} children
 * @returns {any}
 */
export function svg(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

/**
 * Sets an attribute unless it has that value already; false and null remove it.
 * @param {Element} element
 * @param {string} name
 * @param {string | number | boolean | null} value
 */
export function setAttribute(element, name, value) {
  if (value === null || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
    return;
  }
  const wanted = value === true ? '' : String(value);
  if (element.getAttribute(name) !== wanted) element.setAttribute(name, wanted);
}

/**
 * Sets a text unless it is the same: an untouched node does not flicker, keeps its selection and is not announced again.
 * @param {Node} node
 * @param {string} wanted
 */
export function setText(node, wanted) {
  if (node.textContent !== wanted) node.textContent = wanted;
}

/**
 * Sets a text with file paths in it, unless it is the same. Lines may break between folders.
 * @param {Element} element
 * @param {string} wanted
 */
export function setPathText(element, wanted) {
  if (element.textContent === wanted) return;
  element.replaceChildren(...pathParts(wanted));
}

/** A file of the project, with its line and column if they are known. */
const PLACE = /(\bcrates\/[\w./-]+\.rs(?::\d+(?::\d+)?)?)/;

/** The address of a place in the learner's editor; null without one. @type {(place: string) => string | null} */
let addressOf = () => null;

/**
 * Sets the target of the links to files, including those already on the page.
 * @param {(place: string) => string | null} address
 */
export function setPlaces(address) {
  addressOf = address;
  pointPlaces(document);
}

/** Sets the target of the links to files in here. @param {ParentNode} root */
export function pointPlaces(root) {
  for (const link of root.querySelectorAll('a.place-link')) {
    setAttribute(link, 'href', link instanceof HTMLElement ? addressOf(link.dataset.place ?? '') : null);
  }
}

/**
 * A text whose lines may break between folders. A file of the project is a link to the learner's editor.
 * @param {string} said
 * @returns {(Node | string)[]}
 */
export function pathParts(said) {
  // The text between the places is at the even indexes.
  return said.split(PLACE).flatMap((part, index) => {
    if (index % 2 === 0) return part === '' ? [] : breakable(part);
    return [html('a', { class: 'place-link', 'data-place': part, href: addressOf(part) }, ...breakable(part))];
  });
}

/**
 * @param {string} said
 * @returns {(Node | string)[]}
 */
function breakable(said) {
  return said.split(/(?<=[/\\])(?=\w)/).flatMap((part, index) => (index === 0 ? [part] : [html('wbr'), part]));
}

/**
 * @param {HTMLElement} element
 * @param {boolean} visible
 */
export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}

/**
 * Puts an element right after another one, or removes it: a row has only the parts that it needs.
 * @param {HTMLElement} element
 * @param {boolean} wanted
 * @param {HTMLElement} previous
 */
export function attach(element, wanted, previous) {
  if (!wanted) element.remove();
  else if (previous.nextElementSibling !== element) previous.after(element);
}

/**
 * One of the icons in index.html: done, now, failing, failed, ended, paused, todo.
 * @param {string} name
 * @returns {SVGSVGElement}
 */
export function glyph(name) {
  return svg('svg', { class: 'glyph', 'aria-hidden': 'true', focusable: 'false' }, svg('use', { href: `#glyph-${name}` }));
}

/**
 * @param {Element} picture made by `glyph`
 * @param {string} name
 */
export function setGlyph(picture, name) {
  if (picture.firstElementChild) setAttribute(picture.firstElementChild, 'href', `#glyph-${name}`);
}

/**
 * A link that opens in a new tab and sends no referrer.
 * @param {string} label
 * @param {string} className
 * @returns {HTMLAnchorElement}
 */
export function outLink(label, className) {
  const link = html('a', { class: className, target: '_blank', rel: 'noopener noreferrer' });
  link.append(label, html('span', { class: 'visually-hidden' }, ' (opens in a new tab)'));
  return link;
}

/** The public address of the Temporal UI, if a proxy forwards it. */
const PUBLIC_UI = document.querySelector('meta[name="temporal-ui"]')?.getAttribute('content') || null;
const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

/** Whether the page was opened on the machine that the lab runs on. */
export function isLoopback() {
  return LOOPBACK.includes(location.hostname);
}

/**
 * The address for this browser: where the page was opened at a public host, a link to this machine's Temporal UI leads nowhere.
 * @param {string | null} href
 * @returns {string | null}
 */
function asForwarded(href) {
  if (href === null || PUBLIC_UI === null || isLoopback()) return href;
  const url = new URL(href);
  return LOOPBACK.includes(url.hostname) ? new URL(url.pathname + url.search, PUBLIC_UI).href : href;
}

/**
 * Sets a link's address, or hides the link if there is none.
 * @param {HTMLAnchorElement} link
 * @param {unknown} address
 */
export function pointLink(link, address) {
  const href = asForwarded(webAddress(address));
  setAttribute(link, 'href', href);
  show(link, href !== null);
}

/**
 * Whether `value` differs from that of the last call for this node, so that unchanged nodes are left alone.
 * @param {object} node
 * @param {unknown} value
 */
export function changed(node, value) {
  const key = JSON.stringify(value) ?? '';
  if (lastSeen.get(node) === key) return false;
  lastSeen.set(node, key);
  return true;
}
/** @type {WeakMap<object, string>} */
const lastSeen = new WeakMap();

/**
 * Makes the children of `parent` show `items`, in order. A child remains the same element as long as its key exists, so
 * focus, selection and open details survive. Children already in place are not moved.
 *
 * @template T
 * @param {HTMLElement} parent
 * @param {T[]} items
 * @param {(item: T, index: number) => unknown} keyOf the key of an item
 * @param {(item: T) => {element: HTMLElement, update: (item: T) => void}} create
 * @param {HTMLElement} [refuge] gets the focus when the focused child is removed
 */
export function reconcile(parent, items, keyOf, create, refuge) {
  const children = childrenOf.get(parent) ?? new Map();
  childrenOf.set(parent, children);
  /** @type {Map<string, T>} */
  const wanted = new Map();
  items.forEach((item, index) => {
    let key = text(keyOf(item, index), 300);
    while (wanted.has(key)) key += '#';
    wanted.set(key, item);
  });
  for (const [key, child] of children) {
    if (wanted.has(key)) continue;
    const hadFocus = child.element.contains(document.activeElement);
    child.element.remove();
    children.delete(key);
    if (hadFocus) refuge?.focus({ preventScroll: true });
  }
  let place = parent.firstElementChild;
  for (const [key, item] of wanted) {
    let child = children.get(key);
    if (!child) {
      child = create(item);
      children.set(key, child);
    }
    if (place && child.element === place) place = place.nextElementSibling;
    else parent.insertBefore(child.element, place);
    child.update(item);
  }
}
/** @type {WeakMap<HTMLElement, Map<string, {element: HTMLElement, update: (item: any) => void}>>} */
const childrenOf = new WeakMap();
