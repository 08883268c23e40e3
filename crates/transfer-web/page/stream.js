// @ts-check
/**
 * The event stream from the server: which part of the list of transfers it covers, and how it reconnects.
 *
 * EventSource reconnects by itself after some failures and gives up after others. Here every failure is handled alike:
 * close, wait, reconnect, for as long as the page is open.
 */
import { record } from './outside.js';
import { put } from './store.js';
import { now, setClock } from './time.js';

/** The number of transfers on a page of the list. */
export const PAGE = 10;
/** Backoff between reconnects, in seconds. The last interval repeats. */
const BACKOFF_SECONDS = [0.2, 0.5, 1, 2];
/** How long a new connection may take until its first event. */
const CONNECT_TIMEOUT_SECONDS = 10;
/** The server sends an event at least every ten seconds. After this long without one, it is not responding. */
const SILENCE_TIMEOUT_SECONDS = 25;
/**
 * A page closes its stream after being hidden for this long: a browser has six connections to a server for all of its tabs,
 * and six streams would leave none for other requests.
 */
const HIDDEN_TIMEOUT_SECONDS = 5;

/** @type {EventSource | null} */
let source = null;
let offset = 0;
let failures = 0;
/** The time of the last event, in seconds since 1970; null before the first. @type {number | null} */
let lastEvent = null;
/** @type {number | undefined} */
let reconnectTimer;
/** @type {number | undefined} */
let silenceTimer;
/** Whether the stream is closed because the page is hidden. */
let suspended = false;
/** @type {number | undefined} */
let hiddenTimer;

function close() {
  clearTimeout(reconnectTimer);
  clearTimeout(silenceTimer);
  source?.close();
  source = null;
}

/**
 * Reports that the connection is lost, or that the server is silent, and schedules a reconnect.
 * @param {boolean} silent
 */
function lost(silent) {
  close();
  put('connection', { state: 'lost', silent, since: lastEvent });
  reconnectTimer = setTimeout(open, (BACKOFF_SECONDS[failures] ?? 2) * 1000);
  failures = Math.min(failures + 1, BACKOFF_SECONDS.length);
}

/**
 * Gives the server this many seconds for its next event.
 * @param {number} seconds
 */
function expectEvent(seconds) {
  clearTimeout(silenceTimer);
  silenceTimer = setTimeout(() => lost(true), seconds * 1000);
}

function open() {
  close();
  if (suspended) return;
  const opened = new EventSource(`api/events?offset=${offset}&limit=${PAGE}`);
  source = opened;
  expectEvent(CONNECT_TIMEOUT_SECONDS);
  opened.onerror = () => lost(false);
  opened.onopen = () => {
    expectEvent(SILENCE_TIMEOUT_SECONDS);
    put('connection', { state: 'open', silent: false, since: null });
  };
  for (const subject of /** @type {const} */ (['beat', 'lab', 'bank', 'guide', 'transfers'])) {
    opened.addEventListener(subject, (event) => {
      // Events of a stream that was replaced are ignored.
      if (source !== opened) return;
      expectEvent(SILENCE_TIMEOUT_SECONDS);
      let value;
      try {
        value = record(JSON.parse(event.data));
      } catch {
        return;
      }
      setClock(value.now);
      lastEvent = now();
      failures = 0;
      if (subject !== 'beat') put(subject, value);
    });
  }
}

/**
 * Shows the page of the list that starts at transfer `from`, counted from 0, newest first.
 * @param {number} from
 */
export function showFrom(from) {
  const wanted = Math.max(0, from);
  if (wanted === offset && source) return;
  offset = wanted;
  open();
}

/** Closes the stream after the page has been hidden for a while, and reopens it at once when the page is shown. */
function suspendOrResume() {
  clearTimeout(hiddenTimer);
  if (document.hidden) {
    hiddenTimer = setTimeout(() => {
      suspended = true;
      close();
    }, HIDDEN_TIMEOUT_SECONDS * 1000);
    return;
  }
  suspended = false;
  if (!source) open();
}

/** Opens the stream and keeps it open for as long as the page is. */
export function startStream() {
  put('connection', { state: 'opening', silent: false, since: null });
  open();
  suspendOrResume();
  document.addEventListener('visibilitychange', suspendOrResume);
  // A page in the browser's back/forward cache must not hold a connection; it reconnects when it is restored.
  addEventListener('pagehide', close);
  addEventListener('pageshow', (event) => {
    if (event.persisted) open();
  });
  addEventListener('online', () => {
    if (!source) open();
  });
}
