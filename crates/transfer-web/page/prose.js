// @ts-check
/** The lab's own texts, which the server has rendered: their links, copy buttons and paths. */
import { setCopy } from './copy.js';
import { pathParts, pointLink } from './dom.js';

/**
 * Inserts HTML that the server rendered from the lab's own texts and sanitized. This is the only place where markup from
 * outside becomes elements; the page's Content Security Policy also forbids scripts and styles in it.
 * @param {HTMLElement} place
 * @param {unknown} markup
 */
export function setServerHtml(place, markup) {
  const template = document.createElement('template');
  template.innerHTML = typeof markup === 'string' ? markup : '';
  for (const link of template.content.querySelectorAll('a[href]')) {
    const href = link.getAttribute('href') ?? '';
    // A link to a part of the page is followed by tasks.js.
    if (href.startsWith('#') || !(link instanceof HTMLAnchorElement)) continue;
    pointLink(link, href);
    link.setAttribute('target', '_blank');
    link.setAttribute('rel', 'noopener noreferrer');
  }
  for (const button of template.content.querySelectorAll('button.copy')) {
    if (button instanceof HTMLElement) setCopy(button, button.dataset.copy ?? '');
  }
  for (const code of template.content.querySelectorAll(':not(pre, .command) > code')) {
    if (code.childElementCount === 0) code.replaceChildren(...pathParts(code.textContent ?? ''));
  }
  place.replaceChildren(template.content);
}
