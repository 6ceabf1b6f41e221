// The development sign-in page: it tells each form where to return to. Loaded by sign-in.html only;
// the forms themselves are plain HTML and do the signing in. It never keeps anything.

import './styles/base.css'
import './styles/sign-in.css'

import { returnPath } from './return-path'

const path = returnPath(new URLSearchParams(location.search).get('return_to'))

for (const field of document.querySelectorAll<HTMLInputElement>('input[name="return_to"]')) {
  field.value = path
}
