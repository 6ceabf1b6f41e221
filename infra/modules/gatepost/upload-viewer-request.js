// At viewer-request of /upload: passes a form on to the root of the upload bucket, where alone S3 accepts forms, and
// refuses all other requests. S3 checks the form's signature. It gets nothing of the viewer but the form and its type:
// CloudFront would forward a POST's Authorization, which S3 would take for its own.

function handler(event) {
  var request = event.request
  if (request.method !== 'POST') {
    return refusal(405, 'Method Not Allowed', 'Uploads are forms: send them with POST.', { allow: { value: 'POST' } })
  }
  if (Object.keys(request.querystring).length > 0) {
    return refusal(400, 'Bad Request', 'An upload has no query string.', {})
  }
  // CloudFront refuses functions that change those of its own.
  var kept = ['content-type', 'content-length', 'host', 'transfer-encoding', 'via']
  Object.keys(request.headers).forEach((name) => {
    if (!kept.includes(name)) delete request.headers[name]
  })
  request.cookies = {}
  request.uri = '/'
  return request
}

function refusal(status, title, detail, headers) {
  headers['cache-control'] = { value: 'no-store' }
  headers['content-type'] = { value: 'application/problem+json' }
  headers['x-content-type-options'] = { value: 'nosniff' }
  return {
    statusCode: status,
    statusDescription: title,
    headers: headers,
    body: JSON.stringify({ title: title, status: status, detail: detail }),
  }
}
