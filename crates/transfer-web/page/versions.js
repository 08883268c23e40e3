// @ts-check
/**
 * The versions of the worker, while the lab runs several: which new transfers each one takes, what is in progress on it, and the state
 * of its worker.
 */
import { announce } from './announce.js';
import { attach, byId, glyph, html, reconcile, setAttribute, setText, show } from './dom.js';
import { capitalized, list, number, record, text } from './outside.js';
import { get, watch } from './store.js';

/** The words that an announcement said last of each version. @type {Map<string, string>} */
let before = new Map();

/** @param {Record<string, any>} lab the supervisor's status */
export function versionsOf(lab) {
  return list(lab.versions).map(record);
}

/**
 * Which part of the new transfers it takes: `20%`; nothing where its status says that.
 * @param {Record<string, any>} version
 */
function share(version) {
  const percentage = number(version.percentage) ?? 0;
  const isPart = version.status === 'ramping' || (version.status === 'current' && percentage < 100);
  return isPart ? `${percentage.toLocaleString('en-US')}%` : '';
}

/** `ramping 20%`. @param {Record<string, any>} version */
function statusOf(version) {
  return [text(version.status, 20), share(version)].filter(Boolean).join(' ');
}

/** One version. Its parts are a sentence each for a screen reader. */
function versionItem() {
  const name = html('strong', { class: 'version-name' });
  const status = html('span', { class: 'version-status' });
  const running = html('span', { class: 'version-running' });
  const count = html('span');
  const worker = html('span');
  const dot = html('span', { class: 'dot', 'aria-hidden': 'true' });
  const pause = (/** @type {string} */ mark) => html('span', { class: 'visually-hidden' }, mark);
  const rest = html('span', { class: 'visually-hidden' }, ' of new transfers');
  const failing = html('span', { class: 'version-failing' }, pause(', '), glyph('failing'), count);
  const element = html(
    'li',
    { class: 'version' },
    html('span', { class: 'version-head' }, name, pause(': '), status, pause('. ')),
    html('span', { class: 'version-transfers' }, running, pause('. ')),
    html('span', { class: 'version-worker' }, dot, worker, pause('.')),
  );
  return {
    element,
    /** @param {Record<string, any>} version */
    update(version) {
      const failures = number(version.failing) ?? 0;
      const inProgress = number(version.in_progress) ?? 0;
      const isLost = record(get('connection')).state === 'lost';
      const state = isLost ? 'unknown' : text(version.state, 20);
      setAttribute(element, 'data-version', text(version.build_id, 60));
      setAttribute(element, 'data-status', text(version.status, 20));
      setAttribute(element, 'data-failing', failures > 0);
      setAttribute(element, 'data-state', state);
      setText(name, `Version ${text(version.build_id, 60)}`);
      setText(status, statusOf(version));
      attach(rest, share(version) !== '', status);
      setText(running, inProgress === 0 ? 'none in progress' : `${inProgress.toLocaleString('en-US')} in progress`);
      setText(count, `${failures.toLocaleString('en-US')} failing`);
      attach(failing, failures > 0, running);
      setText(worker, `${text(version.service, 60)} ${state}`);
    },
  };
}

/**
 * Announces which versions take other transfers than before, or are drained.
 * @param {Record<string, any>[]} versions
 */
function announceNews(versions) {
  /** @type {Map<string, string>} */
  const after = new Map();
  for (const version of versions) {
    const name = `version ${text(version.build_id, 60)}`;
    const words = statusOf(version);
    const isNew = before.has(name) && before.get(name) !== words;
    if (isNew) announce(`${capitalized(name)}: ${words}${share(version) && ' of new transfers'}.`);
    after.set(name, words);
  }
  before = after;
}

/** Whether the panel shows an earlier answer, since the Temporal server does not answer now. */
function isUnanswered() {
  const isDown = list(record(get('lab')).down).some((down) => record(down).name === 'temporal');
  return isDown || record(get('connection')).state === 'lost';
}

function draw() {
  const versions = versionsOf(record(get('lab')));
  show(byId('versions'), versions.length > 0);
  const isOld = isUnanswered();
  setAttribute(byId('versions'), 'data-old', isOld);
  show(byId('versions-old'), isOld);
  setText(byId('versions-deployment'), text(versions[0]?.deployment, 120));
  reconcile(byId('versions-list'), versions, (version) => version.service, versionItem);
  announceNews(versions);
}

export function startVersions() {
  watch('lab', draw);
  watch('connection', draw);
}
