// At viewer-request of /api/*: copies the viewer's Authorization to another header, because origin access control puts
// its own signature into Authorization. It also tells the API its distribution and the host that the viewer requested,
// because the function URL sees only its own name. A viewer's own headers of these names are never forwarded.

function handler(event) {
  var request = event.request
  delete request.headers['x-gatepost-authorization']
  request.headers['x-gatepost-host'] = { value: request.headers.host.value }
  request.headers['x-gatepost-distribution'] = { value: event.context.distributionDomainName }
  request.headers['x-gatepost-distribution-id'] = { value: event.context.distributionId }
  if (request.headers.authorization) {
    request.headers['x-gatepost-authorization'] = { value: request.headers.authorization.value }
  }
  return request
}
