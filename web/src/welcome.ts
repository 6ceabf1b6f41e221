// The page for visitors who are not signed in: a description, the sign-in button, and the reason if signing in failed.
// Called by `main`. It never makes a request.

import { element, icon } from './element'
import { SIGN_IN } from './session'
import { strings } from './strings'

/** Without a sign-in page there is a sentence instead of the button. */
export function welcome(hasWayIn: boolean, failure?: string): HTMLElement {
  const notice = failure ?? (hasWayIn ? undefined : strings.signIn.none)
  return element(
    'main',
    { class: 'welcome' },
    element(
      'div',
      { class: 'welcome-words' },
      element('h1', {}, strings.welcome.title),
      element('p', { class: 'welcome-lead' }, strings.welcome.lead),
      ...(notice
        ? [element('p', { class: 'welcome-notice', role: 'alert', 'data-testid': 'sign-in-notice' }, notice)]
        : []),
      ...(hasWayIn
        ? [
            element(
              'a',
              { class: 'button primary large', href: SIGN_IN, 'data-testid': 'sign-in' },
              strings.welcome.signIn,
            ),
          ]
        : []),
    ),
    art(),
    element(
      'ul',
      { class: 'welcome-points', role: 'list' },
      ...strings.welcome.points.map(({ title, text }, index) =>
        element(
          'li',
          {},
          icon(POINT_ICONS[index] ?? 'check'),
          element('div', {}, element('h2', {}, title), element('p', {}, text)),
        ),
      ),
    ),
  )
}

const POINT_ICONS = ['bolt', 'eye', 'lock'] as const

/** A wall of pictures, drawn by the style sheet. */
function art(): HTMLElement {
  const tiles = Array.from({ length: 7 }, () => element('span'))
  return element('div', { class: 'welcome-art', 'aria-hidden': 'true' }, ...tiles)
}
