/** What the server answers beside the API: without a key, and the same for everybody. */
import type { PathItem } from './types.ts'

export const SERVER_TAG = { name: 'Server', description: 'For whoever runs the server or writes a client. No key is asked for.' } as const

const text = (example: string) => ({ 'text/plain': { schema: { type: 'string' }, example } })

export const SERVER_PATHS: Readonly<Record<string, PathItem>> = {
  '/healthz': {
    get: {
      operationId: 'health',
      tags: [SERVER_TAG.name],
      summary: 'Is it alive?',
      description: 'Answers as long as the process does.',
      security: [],
      responses: { '200': { description: 'It is.', content: text('ok\n') } },
    },
  },
  '/readyz': {
    get: {
      operationId: 'ready',
      tags: [SERVER_TAG.name],
      summary: 'Does it take requests?',
      description: 'For load balancers: 503 while it starts and while it stops.',
      security: [],
      responses: {
        '200': { description: 'It does.', content: text('ready\n') },
        '503': { description: 'Not yet, or not any more.', content: text('draining\n') },
      },
    },
  },
  '/openapi.json': {
    get: {
      operationId: 'description',
      tags: [SERVER_TAG.name],
      summary: 'This description, for machines',
      description: 'OpenAPI 3.1. `/docs` is the same for people.',
      security: [],
      responses: { '200': { description: 'The document.', content: { 'application/json': { schema: { type: 'object' } } } } },
    },
  },
}
