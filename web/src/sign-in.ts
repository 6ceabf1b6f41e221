// The development sign-in page: it hands on to its form what its own address was opened with, as an
// identity provider does. Loaded by sign-in.html only; the form is plain HTML and does the signing in.
// It never keeps anything and never judges: the server does.

import './styles/base.css'
import './styles/sign-in.css'

const query = new URLSearchParams(location.search)

for (const field of document.querySelectorAll<HTMLInputElement>('input[type="hidden"]')) {
  field.value = query.get(field.name) ?? ''
}
