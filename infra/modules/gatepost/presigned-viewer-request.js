// At viewer-request of the private paths in mode "presigned": refuses a request without S3's signature before the cache
// answers. S3 checks the signature itself. The whole query is part of the cache key, so a request with any signature
// never finds what another mode cached without one.

function handler(event) {
  var request = event.request
  var signature = request.querystring['X-Amz-Signature'] || {}
  if (signature.value && !signature.multiValue) return request
  return {
    statusCode: 403,
    statusDescription: 'Forbidden',
    headers: {
      'cache-control': { value: 'no-store' },
      'content-type': { value: 'application/problem+json' },
      'x-content-type-options': { value: 'nosniff' },
    },
    body: JSON.stringify({ title: 'Forbidden', status: 403, detail: 'A picture needs a signed URL.' }),
  }
}
