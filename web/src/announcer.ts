// Says to screen readers what happened, through one polite live region. Called by whoever reports
// an event that eyes would notice. It never moves the focus.

import { element } from './element'

export class Announcer {
  readonly element = element('div', { class: 'visually-hidden', role: 'status', 'aria-live': 'polite' })

  say(sentence: string): void {
    // One paragraph each, so that two in a row are both read; old ones go, for they are said.
    const line = element('p', {}, sentence)
    this.element.append(line)
    setTimeout(() => line.remove(), 10_000)
  }
}
