// @ts-check
/**
 * The page's state. Each subject is replaced as a whole, as the server sends it.
 *
 * While the page is hidden, updates are stored but not drawn; what has changed is drawn once when the page is shown.
 *
 * @typedef {'connection' | 'lab' | 'bank' | 'guide' | 'transfers'} Subject
 */

/** @type {Map<Subject, any>} */
const values = new Map();
/** @type {Map<Subject, ((value: any) => void)[]>} */
const views = new Map();
/** @type {Set<Subject>} */
const unseen = new Set();

/** @param {Subject} subject */
function draw(subject) {
  for (const view of views.get(subject) ?? []) view(values.get(subject));
}

/**
 * @param {Subject} subject
 * @param {any} value
 */
export function put(subject, value) {
  values.set(subject, value);
  if (document.hidden) unseen.add(subject);
  else draw(subject);
}

/**
 * @param {Subject} subject
 * @returns {any} undefined until the server has sent it
 */
export function get(subject) {
  return values.get(subject);
}

/**
 * Calls `view` with each new value of a subject.
 * @param {Subject} subject
 * @param {(value: any) => void} view
 */
export function watch(subject, view) {
  views.set(subject, [...(views.get(subject) ?? []), view]);
}

document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  const subjects = [...unseen];
  unseen.clear();
  subjects.forEach(draw);
});
