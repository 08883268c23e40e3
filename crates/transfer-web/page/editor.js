// @ts-check
/**
 * Links from a file and line to the learner's editor. The learner chooses the editor at the first click, and the browser remembers
 * it. A page that is opened from another machine has no such links, because the files are not on that machine.
 */
import { announce } from './announce.js';
import { copyText } from './copy.js';
import { openDialog, prepareDialog } from './dialog.js';
import { byId, isLoopback, setPlaces, setText, show } from './dom.js';
import { record, text } from './outside.js';
import { get, watch } from './store.js';

const REMEMBERED = 'editor';
/** Links with these schemes run code or show text; no editor uses them. */
const FORBIDDEN = ['javascript:', 'data:', 'vbscript:', 'blob:', 'about:', 'view-source:'];

/** The editor, for browsers without local storage. */
let chosen = '';

/** @returns {string} vscode, zed, jetbrains, own, copy, or nothing before the choice */
function editor() {
  try {
    return localStorage.getItem(REMEMBERED) ?? chosen;
  } catch {
    return chosen;
  }
}

/** @param {string} name */
function remember(name) {
  chosen = name;
  try {
    localStorage.setItem(REMEMBERED, name);
  } catch {
    // The page remembers until it is closed.
  }
}

/** A path with what a URL needs escaped. @param {string} path */
function escaped(path) {
  return path.split('/').map(encodeURIComponent).join('/');
}

/** The template in EDITOR_URL; empty if it is not a URL that the page may link to. */
function ownTemplate() {
  const template = text(record(record(get('lab')).checkout).editor_url, 500);
  try {
    const { protocol } = new URL(template.replace(/\{(path|line|column)\}/g, '1'));
    return template.includes('{path}') && !FORBIDDEN.includes(protocol) ? template : '';
  } catch {
    return '';
  }
}

/** @param {string} place such as `crates/worker/src/workflow.rs:57:9` */
function partsOf(place) {
  const [file, line = '1', column = '1'] = place.split(':');
  return { file, line, column };
}

/**
 * The address that opens a place in this editor.
 * @param {string} name
 * @param {string} place
 * @returns {string | null}
 */
function address(name, place) {
  const checkout = record(record(get('lab')).checkout);
  const root = text(checkout.root, 1000);
  if (!root.startsWith('/') || !isLoopback()) return null;
  const { file, line, column } = partsOf(place);
  const path = escaped(`${root}/${file}`);
  const distribution = text(checkout.wsl, 100);
  switch (name) {
    case 'vscode':
      return distribution
        ? `vscode://vscode-remote/wsl+${encodeURIComponent(distribution)}${path}:${line}:${column}`
        : `vscode://file${path}:${line}:${column}`;
    case 'zed':
      return `zed://file${path}:${line}:${column}`;
    case 'jetbrains': {
      // The project's name is that of its folder. Lines and columns are counted from zero here.
      const project = encodeURIComponent(root.split('/').pop() ?? '');
      return `jetbrains://rustrover/navigate/reference?project=${project}&path=${path}:${Number(line) - 1}:${Number(column) - 1}`;
    }
    case 'own':
      return ownTemplate().replace(/\{(path|line|column)\}/g, (_, part) => ({ path, line, column })[/** @type {'path'} */ (part)]) || null;
    default:
      // Its click handler asks for the editor or copies the path.
      return '#editor-choice';
  }
}

function draw() {
  const name = editor();
  setPlaces((place) => address(name, place));
  show(byId('editor-own'), ownTemplate() !== '');
  show(byId('editor-choice'), name !== '' && address(name, '') !== null);
}

/** @param {string} place */
async function copyPlace(place) {
  const root = text(record(record(get('lab')).checkout).root, 1000);
  const done = await copyText(`${root}/${place}`);
  announce(done ? `Copied: ${place}` : 'The browser did not allow copying. Select the text and copy it yourself.');
}

/** The place whose click opened the dialog. */
let asked = '';

/** @param {string} place */
function askFor(place) {
  asked = place;
  setText(byId('editor-place'), place);
  openDialog(byId('editor-dialog'));
}

/** @param {string} name */
function choose(name) {
  remember(name);
  draw();
  byId('editor-dialog').close();
  if (!asked) return;
  const href = address(name, asked);
  if (name === 'copy') copyPlace(asked);
  else if (href) location.href = href;
}

export function startEditor() {
  prepareDialog(byId('editor-dialog'), byId('editor-close'));
  byId('editor-dialog').addEventListener('click', (/** @type {MouseEvent} */ event) => {
    const button = event.target instanceof Element ? event.target.closest('[data-editor]') : null;
    if (button instanceof HTMLElement) choose(button.dataset.editor ?? '');
  });
  byId('editor-choice').addEventListener('click', () => askFor(''));
  document.addEventListener('click', (event) => {
    const link = event.target instanceof Element ? event.target.closest('a.place-link[href]') : null;
    if (!(link instanceof HTMLElement)) return;
    const name = editor();
    const place = link.dataset.place ?? '';
    if (name !== '' && name !== 'copy' && address(name, place)) return;
    event.preventDefault();
    if (name === 'copy') copyPlace(place);
    else askFor(place);
  });
  let known = '';
  watch('lab', (lab) => {
    const checkout = JSON.stringify(record(lab).checkout ?? null);
    if (checkout === known) return;
    known = checkout;
    draw();
  });
}
