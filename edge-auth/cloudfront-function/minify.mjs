// Makes gate.min.js of gate.js: shorter names, no comments. `npm run gate` in web/ runs it; the page's tests compare the
// result with the committed file, and look for syntax that CloudFront's JavaScript runtime 2.0 lacks.
//
// The minifier and the parser are those of the page's bundler.

import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const here = new URL('.', import.meta.url)

async function bundler() {
  const inWeb = createRequire(new URL('../../web/package.json', here))
  const inVite = createRequire(inWeb.resolve('vite/package.json'))
  return import(pathToFileURL(inVite.resolve('rolldown/utils')))
}

// The minified text of a file of this folder.
export async function minified(name) {
  const { minifySync, parseSync } = await bundler()
  const source = readFileSync(new URL(name, here), 'utf8')
  const { code, errors } = minifySync(name, source, {
    module: true,
    compress: { target: 'es2017' },
    mangle: { toplevel: true },
    codegen: { removeWhitespace: true },
  })
  if (errors.length > 0) throw new Error(JSON.stringify(errors))
  // CloudFront calls the function of the name `handler`, and a function has no exports.
  const exported = 'export async function handler('
  if (!code.includes(exported)) throw new Error(`${name} does not export handler`)
  const { program } = parseSync(name, code, { sourceType: 'module' })
  return quoted(code, program).replace(exported, 'async function handler(')
}

// Puts texts into quotes that the minifier has put into backticks: njs builds a template anew each time it is evaluated,
// which took a quarter of the time of a call and two fifths of its memory.
function quoted(code, program) {
  const templates = []
  everyNode(program, (node) => {
    if (node.type === 'TemplateLiteral' && node.expressions.length === 0) templates.push(node)
  })
  // From the end, so that the positions of the others remain valid.
  templates.sort((one, other) => other.start - one.start)
  return templates.reduce(
    (text, { start, end, quasis }) => text.slice(0, start) + literal(quasis[0].value.cooked) + text.slice(end),
    code,
  )
}

// A string as JavaScript, with the quotes that need fewer escapes.
function literal(text) {
  const double = JSON.stringify(text)
  const single = `'${double.slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`
  return single.length < double.length ? single : double
}

// The names of what a text has and runtime 2.0, or njs 0.7.9, lacks.
export async function lacking(code) {
  const { parseSync } = await bundler()
  const { program, errors } = parseSync('code.js', code, { sourceType: 'module' })
  if (errors.length > 0) throw new Error(JSON.stringify(errors))
  const found = new Set()
  everyNode(program, (node, parent) => {
    const name = nameOf(node, parent)
    if (name) found.add(name)
  })
  for (const name of lateConstants(program)) if (name) found.add('a constant after a function that uses it')
  return [...found]
}

const NODES = {
  ForOfStatement: 'for…of',
  ClassDeclaration: 'class',
  ClassExpression: 'class',
  ObjectPattern: 'destructuring',
  ArrayPattern: 'destructuring',
  SpreadElement: 'spread',
  RestElement: 'spread',
  AssignmentPattern: 'a default value',
  ChainExpression: '?.',
}
const GLOBALS = [
  'Map',
  'Set',
  'WeakMap',
  'WeakSet',
  'BigInt',
  'Proxy',
  'Reflect',
  'Intl',
  'fetch',
  'setTimeout',
  'eval',
]
const METHODS = ['replaceAll', 'matchAll', 'flatMap', 'flat', 'at', 'fromEntries', 'structuredClone']
const PROMISES = ['all', 'allSettled', 'any', 'race']

// Calls `use` with each node of a program and its parent.
function everyNode(node, use, parent) {
  if (!node || typeof node !== 'object') return
  if (Array.isArray(node)) {
    for (const item of node) everyNode(item, use, parent)
    return
  }
  if (typeof node.type !== 'string') return
  use(node, parent)
  for (const [key, value] of Object.entries(node)) if (key !== 'parent') everyNode(value, use, node)
}

function nameOf(node, parent) {
  switch (node.type) {
    case 'LogicalExpression':
      return node.operator === '??' ? '??' : undefined
    case 'AssignmentExpression':
      return ['??=', '||=', '&&=', '**='].includes(node.operator) ? node.operator : undefined
    case 'ArrowFunctionExpression':
      return node.async ? 'an async arrow function' : undefined
    case 'FunctionDeclaration':
    case 'FunctionExpression':
      return node.generator ? 'a generator' : undefined
    case 'AwaitExpression':
      // njs 0.7.9 crashes if it has begun another expression when it waits.
      return ['VariableDeclarator', 'ExpressionStatement', 'ReturnStatement'].includes(parent.type)
        ? undefined
        : 'an await within an expression'
    case 'Literal':
      if (node.bigint) return 'BigInt'
      if (node.regex && endsLine(node.regex.pattern)) return 'a $ in a regular expression'
      return node.regex?.flags.match(/[uysdv]/)
        ? `the flag ${node.regex.flags.match(/[uysdv]/)[0]} of a regular expression`
        : undefined
    case 'NewExpression':
    case 'CallExpression': {
      const { callee } = node
      if (callee.type === 'Identifier' && GLOBALS.includes(callee.name)) return callee.name
      if (callee.type !== 'MemberExpression') return undefined
      const method = callee.property.name
      if (callee.object.name === 'Promise' && PROMISES.includes(method)) return `Promise.${method}`
      return METHODS.includes(method) ? method : undefined
    }
    default:
      return NODES[node.type]
  }
}

// Whether a pattern has a `$` that is neither escaped nor in a class: in njs it also matches before a last line break.
function endsLine(pattern) {
  return pattern
    .replace(/\\./g, '')
    .replace(/\[[^\]]*\]/g, '')
    .includes('$')
}

// The constants of the top level that are declared after a function that uses them.
function lateConstants(program) {
  const late = []
  const used = new Set()
  for (const statement of program.body) {
    if (statement.type === 'VariableDeclaration') {
      for (const { id } of statement.declarations) if (used.has(id.name)) late.push(id.name)
    } else if (statement.type === 'FunctionDeclaration') {
      identifiers(statement, used)
    }
  }
  return late
}

function identifiers(node, names) {
  if (!node || typeof node !== 'object') return
  if (node.type === 'Identifier') names.add(node.name)
  for (const value of Object.values(node)) identifiers(value, names)
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeFileSync(new URL('gate.min.js', here), `${await minified('gate.js')}\n`)
}
