// Announces events through one polite live region: visible changes to screen readers, and everything that the page does
// not show otherwise to everybody. It never moves the focus.

import { element } from './element'

export class Announcer {
  readonly #region = element('div', { class: 'visually-hidden', role: 'status', 'aria-live': 'polite' })
  readonly element = element('div', {}, this.#region)
  #settled = 0
  #toast: HTMLElement | undefined

  say(sentence: string): void {
    // One paragraph each, so that two in a row are both read; old ones are removed once they were read.
    this.#append(element('p', {}, sentence))
  }

  #append(line: HTMLElement): void {
    // Screen readers ignore everything outside an open dialog, and the initial content of a region.
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

  /**
   * Shows the sentence as well, for a while, in place of the one before: that may be about a photo that is gone. It is a
   * popover, so that it is above an open dialog.
   */
  tell(sentence: string): void {
    this.say(sentence)
    this.#toast?.remove()
    const toast = element(
      'p',
      { class: 'toast', 'aria-hidden': 'true', popover: 'manual', 'data-testid': 'toast' },
      sentence,
    )
    this.#toast = toast
    const show = (home: Element) => {
      home.append(toast)
      toast.showPopover()
    }
    const dialog = document.querySelector('dialog[open]')
    show(dialog ?? document.body)
    // A closed dialog hides its content.
    dialog?.addEventListener('close', () => toast.isConnected && show(document.body), { once: true })
    setTimeout(() => toast.remove(), 6_000)
  }
}
