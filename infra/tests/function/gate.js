// In the place of the function that `gatepost package` generates: it allows nobody but the bearer of one session.

import cf from 'cloudfront'

async function handler(event) {
  var request = event.request
  delete request.headers['x-gatepost-allowed']
  var cookie = request.cookies['__Host-gatepost']
  if (!cookie || cookie.multiValue) return { statusCode: 401, statusDescription: 'Unauthorized' }
  try {
    if ((await cf.kvs().get('session/test')) !== cookie.value) throw new Error('another session')
  } catch (error) {
    return { statusCode: 401, statusDescription: 'Unauthorized' }
  }
  request.headers['x-gatepost-allowed'] = { value: '1' }
  request.uri = `/o${request.uri}`
  return request
}
