// At viewer-request of /api/*: puts the viewer's Authorization aside. Origin access control signs the request to the
// function URL and puts its own signature into that header. What a viewer sends under the other name is never passed on.

function handler(event) {
  var request = event.request
  delete request.headers['x-gatepost-authorization']
  if (request.headers.authorization) {
    request.headers['x-gatepost-authorization'] = { value: request.headers.authorization.value }
  }
  return request
}
