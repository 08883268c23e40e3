// @ts-check
/** The status bar with the lab's services, and the banner that says what is down and which command to run. */
import { announce } from './announce.js';
import { buildErrors, whatStillRuns } from './build.js';
import { command } from './copy.js';
import { byId, changed, html, pointLink, reconcile, setAttribute, setText } from './dom.js';
import { asSentence, list, number, record, text } from './outside.js';
import { get, watch } from './store.js';
import { clock } from './time.js';
import { versionsOf } from './versions.js';

const STATES = ['running', 'starting', 'restarting', 'stopped'];
/** The banner lists at most this many problems, so that the rest of the page stays visible. */
const MOST = 5;

/** @param {unknown} value */
function stateOf(value) {
  if (record(get('connection')).state === 'lost') return 'unknown';
  return STATES.includes(text(value)) ? text(value) : 'unknown';
}

/** One service: a dot, its name, and its state in words. */
function service() {
  const name = html('span', { class: 'service-name' });
  const state = html('span', { class: 'service-state' });
  const element = html('li', {}, html('span', { class: 'dot', 'aria-hidden': 'true' }), name, ' ', state);
  return {
    element,
    /** @param {any} value */
    update(value) {
      const restarts = number(value.restarts) ?? 0;
      setAttribute(element, 'data-service', text(value.name, 60));
      setAttribute(element, 'data-state', stateOf(value.state));
      setAttribute(element, 'title', restarts > 0 ? `restarted ${restarts === 1 ? 'once' : `${restarts} times`}` : null);
      setText(name, text(value.name, 60));
      setText(state, value.failing ? 'failing' : stateOf(value.state));
    },
  };
}

/**
 * The problems to show in the banner.
 * @returns {{name: string, says: string, type: string, more: string, bad: boolean}[]}
 */
function troubles() {
  const connection = record(get('connection'));
  const lab = record(get('lab'));
  if (connection.state === 'lost') {
    const since = clock(connection.since);
    const more = `It reconnects by itself.${since ? ` The data on this page is from ${since}.` : ''}`;
    const lost = { name: 'lost', more, bad: true };
    return connection.silent
      ? [{ ...lost, says: 'The page’s server is not responding.', type: 'cargo xtask lab restart transfer-web' }]
      : [{ ...lost, says: 'This page has lost its connection to the lab.', type: 'cargo xtask lab start' }];
  }
  const found = list(lab.down).slice(0, MOST).map(record).map((down) => ({
    name: text(down.name, 60) || 'lab',
    says: asSentence(text(down.says, 300) || 'Something is down'),
    type: text(down.do, 200),
    more: '',
    bad: true,
  }));
  // The compiler's errors have a panel of their own.
  if (lab.build === 'failed' && (lab.manifest_unusable === true || buildErrors().length === 0)) {
    // Then cargo runs no command, and the reason says what to type.
    const isManifest = lab.manifest_unusable === true;
    const says = isManifest ? asSentence(text(lab.build_error, 900)) : `The worker does not compile. ${whatStillRuns(lab)}`;
    const type = isManifest ? '' : 'cargo xtask lab logs build';
    found.push({ name: 'build', says, type, more: '', bad: true });
  }
  if (lab.undeployed === true && lab.build === 'ok' && versionsOf(lab).length > 0) {
    const says = 'Your edit is built. To run it, deploy it as the next version.';
    found.push({ name: 'undeployed', says, type: 'cargo xtask lab deploy', more: '', bad: false });
  } else if (lab.watch === false) {
    const says = 'Watch is off: saved edits wait until you deploy them.';
    found.push({ name: 'watch', says, type: 'cargo xtask lab deploy', more: '', bad: false });
  }
  return found;
}

function drawServices() {
  const lab = record(get('lab'));
  reconcile(byId('services'), list(lab.services).map(record), (value) => value.name, service);
  pointLink(byId('temporal-ui'), lab.temporal_ui || null);
}

function drawBanner() {
  const banner = byId('banner');
  const found = troubles();
  // Updated only on a difference: screen readers announce every update of the banner.
  if (!changed(banner, found)) return;
  const hadFocus = banner.contains(document.activeElement);
  banner.replaceChildren(
    ...found.map((trouble) =>
      html(
        'div',
        { class: trouble.bad ? 'banner-item bad' : 'banner-item', 'data-name': trouble.name },
        html('p', {}, html('strong', {}, trouble.says), trouble.more ? ` ${trouble.more}` : ''),
        ...(trouble.type ? [html('div', { class: 'banner-do' }, html('span', {}, 'Run'), command(trouble.type))] : []),
      ),
    ),
  );
  if (hadFocus) byId('transfers-panel').focus({ preventScroll: true });
}

/** Draws both when the lab or the connection changes. */
export function startStatus() {
  let wasLost = false;
  const draw = () => {
    drawServices();
    drawBanner();
    const state = record(get('connection')).state;
    if (state === 'open' && wasLost) announce('Reconnected to the lab.');
    if (state !== 'opening') wasLost = state === 'lost';
  };
  watch('lab', draw);
  watch('connection', draw);
}
