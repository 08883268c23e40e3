// @ts-check
/** The status bar with the lab's services, and the banner that says what is down and what to type. */
import { announce } from './announce.js';
import { command } from './copy.js';
import { byId, changed, html, pointLink, reconcile, setAttribute, setText, show } from './dom.js';
import { list, number, record, text } from './outside.js';
import { get, watch } from './store.js';
import { clock } from './time.js';

const STATES = ['running', 'starting', 'restarting', 'stopped'];
/** More troubles than this at once the banner does not list: the rest of the page must stay in sight. */
const MOST = 5;
/** @type {Record<string, string>} */
const BUILDS = {
  ok: '',
  building: 'building the worker',
  failed: 'build failed',
};

/** @param {unknown} value */
function stateOf(value) {
  if (record(get('connection')).state === 'lost') return 'unknown';
  return STATES.includes(text(value)) ? text(value) : 'unknown';
}

/** One service: its name, a dot, and the state in words. */
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
      setText(state, stateOf(value.state));
    },
  };
}

/**
 * What there is to say in the banner.
 * @returns {{name: string, says: string, type: string, more: string, bad: boolean}[]}
 */
function troubles() {
  const connection = record(get('connection'));
  const lab = record(get('lab'));
  if (connection.state === 'lost') {
    const since = clock(connection.since);
    const more = `The page goes on by itself once the lab runs.${since ? ` What you see is from ${since}.` : ''}`;
    const lost = { name: 'lost', more, bad: true };
    return connection.silent
      ? [{ ...lost, says: 'The server of this page does not answer.', type: 'cargo xtask lab restart transfer-web' }]
      : [{ ...lost, says: 'This page has lost its server.', type: 'cargo xtask lab start' }];
  }
  const found = list(lab.down).slice(0, MOST).map(record).map((down) => ({
    name: text(down.name, 60) || 'lab',
    says: asSentence(text(down.says, 300) || 'Something is down'),
    type: text(down.do, 200),
    more: '',
    bad: true,
  }));
  if (lab.build === 'failed') {
    const says = 'The worker does not build. The one from before your last change runs on.';
    found.push({ name: 'build', says, type: 'cargo xtask lab logs build', more: '', bad: true });
  }
  if (lab.watch === false) {
    const says = 'Watch is off: saved edits wait until you deploy them.';
    found.push({ name: 'watch', says, type: 'cargo xtask lab deploy', more: '', bad: false });
  }
  return found;
}

/** @param {string} says */
function asSentence(says) {
  const first = says.charAt(0).toUpperCase() + says.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

function drawServices() {
  const lab = record(get('lab'));
  reconcile(byId('services'), list(lab.services).map(record), (value) => value.name, service);
  const build = record(get('connection')).state === 'lost' ? '' : text(lab.build, 20);
  const place = byId('build');
  setAttribute(place, 'data-build', build in BUILDS ? build : 'unknown');
  setText(place, BUILDS[build] ?? '');
  show(place, Boolean(BUILDS[build]));
  pointLink(byId('temporal-ui'), lab.temporal_ui || null);
}

function drawBanner() {
  const banner = byId('banner');
  const found = troubles();
  // Only what differs is drawn: the banner is read aloud whenever it is touched.
  if (!changed(banner, found)) return;
  const hadFocus = banner.contains(document.activeElement);
  banner.replaceChildren(
    ...found.map((trouble) =>
      html(
        'div',
        { class: trouble.bad ? 'banner-item bad' : 'banner-item', 'data-name': trouble.name },
        html('p', {}, html('strong', {}, trouble.says), trouble.more ? ` ${trouble.more}` : ''),
        ...(trouble.type ? [html('div', { class: 'banner-do' }, html('span', {}, 'Type'), command(trouble.type))] : []),
      ),
    ),
  );
  if (hadFocus) byId('transfers-panel').focus({ preventScroll: true });
}

/** Draws both whenever one of the two they depend on has changed. */
export function startStatus() {
  let wasLost = false;
  const draw = () => {
    drawServices();
    drawBanner();
    const state = record(get('connection')).state;
    if (state === 'open' && wasLost) announce('The server of this page is back.');
    if (state !== 'opening') wasLost = state === 'lost';
  };
  watch('lab', draw);
  watch('connection', draw);
}
