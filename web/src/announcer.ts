// Says what happened, through one polite live region: to screen readers what eyes would notice, and to
// everybody what nothing else on the page shows. It never moves the focus.

import { element } from './element'

export class Announcer {
  readonly #region = element('div', { class: 'visually-hidden', role: 'status', 'aria-live': 'polite' })
  readonly element = element('div', {}, this.#region)
  #settled = 0

  say(sentence: string): void {
    // One paragraph each, so that two in a row are both read; old ones go, for they are said.
    this.#append(element('p', {}, sentence))
  }

  #append(line: HTMLElement): void {
    // Whatever is outside an open dialog is not read, nor what a region comes with.
    const home = document.querySelector('dialog[open]') ?? this.element
    if (this.#region.parentElement !== home) {
      home.append(this.#region)
      this.#settled = performance.now() + 200
    }
    const wait = this.#settled - performance.now()
    if (wait > 0) return void setTimeout(() => this.#append(line), wait)
    this.#region.append(line)
    setTimeout(() => line.remove(), 10_000)
  }

  /** For eyes as well, for a while. It is a popover, so that it stands above an open dialog. */
  tell(sentence: string): void {
    const toast = element('p', { class: 'toast', role: 'status', popover: 'manual', 'data-testid': 'toast' }, sentence)
    const dialog = document.querySelector('dialog[open]')
    ;(dialog ?? document.body).append(toast)
    toast.showPopover()
    setTimeout(() => toast.remove(), 6_000)
  }
}
