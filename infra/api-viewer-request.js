// At viewer-request of /api/*: puts the viewer's Authorization aside, for origin access control puts its own signature
// into that header, and tells the API which distribution it is behind and which host the viewer asked: the function URL
// sees its own name alone. What a viewer sends under these names is never passed on.

function handler(event) {
  var request = event.request
  delete request.headers['x-gatepost-authorization']
  request.headers['x-gatepost-host'] = { value: request.headers.host.value }
  request.headers['x-gatepost-distribution'] = { value: event.context.distributionDomainName }
  if (request.headers.authorization) {
    request.headers['x-gatepost-authorization'] = { value: request.headers.authorization.value }
  }
  return request
}
