// A program that uses the API with a token, without a browser. Used by tests and benches that need a photo in the gallery
// and are not about uploading it.

import assert from 'node:assert/strict'

import { until } from './gatepost.mjs'

/** The manifest of a JPEG that somebody has uploaded. */
export async function uploadAs(gatepost, subject, photo) {
  const authorization = `Bearer ${await gatepost.token(subject)}`
  const ask = async (path, body) => {
    const init = {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { authorization, 'content-type': 'application/json' },
    }
    const response = await fetch(`${gatepost.origin}${path}`, body ? init : { headers: { authorization } })
    return response.json()
  }
  const form = await ask('/api/uploads', { content_type: 'image/jpeg', size: photo.length })
  const fields = new FormData()
  for (const [name, value] of Object.entries(form.fields)) fields.append(name, value)
  fields.append('file', new Blob([photo]))
  assert.equal((await fetch(form.url, { method: 'POST', body: fields })).status, 204)
  let outcome
  await until(async () => {
    outcome = await ask(`/api/uploads/${form.id}`)
    return outcome.status !== 'pending'
  })
  assert.equal(outcome.status, 'ready')
  return outcome.manifest
}
