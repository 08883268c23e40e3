// @ts-check
/** On a narrow screen, the guide, the transfers and the bank are tabs. On a wide one, all three are visible and there are no tabs. */
import { byId, setAttribute, setText, show } from './dom.js';
import { number, record } from './outside.js';
import { watch } from './store.js';

/** The same width as in layout.css. */
const NARROW = matchMedia('(max-width: 44.99rem)');
/** The panels, in the order of their tabs. */
const PANELS = ['guide', 'transfers-panel', 'bank-panel'];

/** The open panel. */
let open = PANELS[0];
/** How far each panel was scrolled when it was left. @type {Map<string, number>} */
const scrolled = new Map();

/** @param {string} panel @returns {HTMLElement} */
function tabOf(panel) {
  return byId(`tab-${panel}`);
}

function draw() {
  for (const panel of PANELS) {
    const isOpen = panel === open;
    setAttribute(tabOf(panel), 'aria-selected', String(isOpen));
    setAttribute(tabOf(panel), 'tabindex', isOpen ? 0 : -1);
    // Without tabs, the panels are regions.
    setAttribute(byId(panel), 'role', NARROW.matches ? 'tabpanel' : null);
  }
  setAttribute(byId('tabs').parentElement, 'data-tab', open);
}

/**
 * Opens the tab of a panel. A wide screen has no tabs; there it is the one that is open once the screen is narrow.
 * @param {string} panel
 */
function openTab(panel) {
  if (panel === open) return;
  scrolled.set(open, scrollY);
  open = panel;
  draw();
  // A panel that was not open before begins below the tabs, which stay at the top.
  if (NARROW.matches) scrollTo(0, scrolled.get(panel) ?? Math.min(scrollY, byId('tabs').parentElement.offsetTop));
}

/**
 * Opens the tab that an element is in, if it is in one.
 * @param {Element} element
 */
export function openTabAround(element) {
  const panel = PANELS.find((id) => byId(id).contains(element));
  if (panel) openTab(panel);
}

/**
 * Moves between the tabs with the keys of the ARIA pattern.
 * @param {KeyboardEvent} event
 */
function move(event) {
  const at = PANELS.indexOf(open);
  const last = PANELS.length - 1;
  /** @type {Record<string, number>} */
  const targets = { ArrowLeft: at === 0 ? last : at - 1, ArrowRight: at === last ? 0 : at + 1, Home: 0, End: last };
  const target = targets[event.key];
  if (target === undefined) return;
  event.preventDefault();
  openTab(PANELS[target]);
  tabOf(open).focus({ preventScroll: true });
}

/** Shows on the tab how many transfers are stuck, because their list may be hidden. @param {unknown} transfers */
function drawBadge(transfers) {
  const stuck = number(record(transfers).stuck_in_window) ?? 0;
  setText(byId('stuck-badge'), stuck > 0 ? `${stuck} stuck` : '');
  show(byId('stuck-badge'), stuck > 0);
}

/** Says on the tab that the build failed, since the head with its errors may be scrolled away. @param {unknown} lab */
function drawBuild(lab) {
  show(byId('build-badge'), record(lab).build === 'failed');
}

/** Opens a tab; the open one leads back to the top of the page. @param {string} panel */
function press(panel) {
  if (panel === open) scrollTo(0, 0);
  else openTab(panel);
}

export function startTabs() {
  for (const panel of PANELS) tabOf(panel).addEventListener('click', () => press(panel));
  byId('tabs').addEventListener('keydown', move);
  for (const link of document.querySelectorAll('a.skip')) {
    link.addEventListener('click', () => openTabAround(byId(link.getAttribute('href')?.slice(1) ?? '')));
  }
  NARROW.addEventListener('change', draw);
  draw();
  watch('transfers', drawBadge);
  watch('lab', drawBuild);
}
