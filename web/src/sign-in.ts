// The development sign-in page: it copies its own query parameters to its form, like an identity provider. Loaded by
// sign-in.html only; the form is plain HTML and does the signing in. It never stores or checks anything: the server
// does.

import './styles/base.css'
import './styles/sign-in.css'

const query = new URLSearchParams(location.search)

for (const field of document.querySelectorAll<HTMLInputElement>('input[type="hidden"]')) {
  field.value = query.get(field.name) ?? ''
}
