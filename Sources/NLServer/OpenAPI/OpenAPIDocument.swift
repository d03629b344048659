// swift-format-ignore-file

/// The contract, inside the binary, so that a copied executable can serve it.
///
/// This is `openapi.yaml` word for word; a test compares the two, and with NLSERVER_EMBED_CONTRACT=1 in its
/// environment writes this file anew.
enum OpenAPIDocument {
    static let yaml = ###"""
openapi: 3.1.0
info:
  title: nlserver
  version: 0.1.0
  license:
    name: Apache-2.0
    identifier: Apache-2.0
  description: |-
    A language-model server that keeps learning: documents it is given change its weights, level by level, and stay after a restart.

    OpenAI's routes answer errors with OpenAI's error object, all others with RFC 9457 problem details. Every response carries `X-Request-Id`: the caller's, if it sent one, else a new one. A path that is not here is 404, a method that is not here 405 with `Allow`; every GET also answers HEAD. Times are RFC 3339 in UTC, losses and log-probabilities natural, in nats.
servers:
- url: http://127.0.0.1:8080
tags:
- name: OpenAI
  description: Compatible with OpenAI's API, with `session`, `space`, `learn` and `recall`.
- name: Documents
  description: What the model is given to learn.
- name: Jobs
  description: Work in the background.
- name: Memory
  description: The levels, from fastest to slowest.
- name: Sessions
  description: Streams read piece by piece, with a fast state of their own.
- name: Spaces
  description: Memories apart from each other, one for each tenant, user or project.
- name: Operations
  description: Probes, metrics, the contract.
security: []
paths:
  /v1/completions:
    post:
      operationId: createCompletion
      tags:
      - OpenAI
      summary: Continue a text
      requestBody:
        required: true
        content:
          application/json:
            schema:
              $ref: '#/components/schemas/CompletionRequest'
            example:
              prompt: The lord of Aven was born in
              max_tokens: 8
              temperature: 0
      responses:
        '200':
          description: The answer; as server-sent events with `stream`. A failure after the first byte is a last
            event with an error object, and no [DONE].
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Completion'
            text/event-stream:
              schema:
                type: string
                description: '`data:` lines with a Completion each, then `data: [DONE]`.'
        '400':
          $ref: '#/components/responses/OpenAIBadRequest'
        '403':
          $ref: '#/components/responses/OpenAIForbidden'
        '404':
          $ref: '#/components/responses/OpenAINotFound'
        '409':
          $ref: '#/components/responses/OpenAIConflict'
        '413':
          $ref: '#/components/responses/OpenAITooLarge'
        '415':
          $ref: '#/components/responses/OpenAIUnsupportedMediaType'
        '429':
          $ref: '#/components/responses/OpenAITooManyRequests'
        '500':
          $ref: '#/components/responses/OpenAIInternalError'
        '503':
          $ref: '#/components/responses/OpenAIUnavailable'
        '507':
          $ref: '#/components/responses/OpenAIDiskFull'
  /v1/chat/completions:
    post:
      operationId: createChatCompletion
      tags:
      - OpenAI
      summary: Answer in a conversation
      description: 'The shipped model has no chat tokens: a conversation is rendered as plain text, each message
        a line that begins with `System:`, `User:` or `Assistant:`, and the answer ends before the next `User:`.'
      requestBody:
        required: true
        content:
          application/json:
            schema:
              $ref: '#/components/schemas/ChatCompletionRequest'
            example:
              messages:
              - role: user
                content: Who wrote Emma?
              max_tokens: 32
      responses:
        '200':
          description: The answer; as server-sent events with `stream`.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/ChatCompletion'
            text/event-stream:
              schema:
                type: string
                description: '`data:` lines with a ChatCompletionChunk each, then `data: [DONE]`.'
        '400':
          $ref: '#/components/responses/OpenAIBadRequest'
        '403':
          $ref: '#/components/responses/OpenAIForbidden'
        '404':
          $ref: '#/components/responses/OpenAINotFound'
        '409':
          $ref: '#/components/responses/OpenAIConflict'
        '413':
          $ref: '#/components/responses/OpenAITooLarge'
        '415':
          $ref: '#/components/responses/OpenAIUnsupportedMediaType'
        '429':
          $ref: '#/components/responses/OpenAITooManyRequests'
        '500':
          $ref: '#/components/responses/OpenAIInternalError'
        '503':
          $ref: '#/components/responses/OpenAIUnavailable'
        '507':
          $ref: '#/components/responses/OpenAIDiskFull'
  /v1/models:
    get:
      operationId: listModels
      tags:
      - OpenAI
      summary: List what is served
      responses:
        '200':
          description: The models.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/ModelList'
        '403':
          $ref: '#/components/responses/OpenAIForbidden'
        '500':
          $ref: '#/components/responses/OpenAIInternalError'
        '503':
          $ref: '#/components/responses/OpenAIUnavailable'
  /v1/models/{model}:
    get:
      operationId: getModel
      tags:
      - OpenAI
      summary: One model
      parameters:
      - name: model
        in: path
        required: true
        schema:
          type: string
      responses:
        '200':
          description: The model.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Model'
        '403':
          $ref: '#/components/responses/OpenAIForbidden'
        '404':
          $ref: '#/components/responses/OpenAINotFound'
        '500':
          $ref: '#/components/responses/OpenAIInternalError'
        '503':
          $ref: '#/components/responses/OpenAIUnavailable'
  /v1/documents:
    post:
      operationId: acceptDocuments
      tags:
      - Documents
      summary: Give the model something to learn
      description: |-
        A document is acknowledged when it is on disk: from then on no crash loses it. The model learns it in the background, as a job.

        As `application/x-ndjson` a stream of documents: each line is committed, then answered by one line, an Acceptance or a Problem with the line's number; blank lines are passed over. The sender is slowed down to the speed of the disk, so it must read the answers while it sends.

        The same text twice, or the same id with the same text, changes nothing twice: `existing` is true.
      parameters:
      - $ref: '#/components/parameters/IdempotencyKey'
      - $ref: '#/components/parameters/AcceptEvents'
      - name: id
        in: query
        description: 'For text/plain: the document''s id.'
        schema:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
      - name: title
        in: query
        description: 'For text/plain: the document''s title.'
        schema:
          type: string
      - name: space
        in: query
        description: 'For text/plain: the space.'
        schema:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
      requestBody:
        required: true
        content:
          application/json:
            schema:
              $ref: '#/components/schemas/DocumentRequest'
            example:
              text: The lord of Aven was born in the city of Orsk.
              title: Aven
          text/plain:
            schema:
              type: string
              minLength: 1
          application/x-ndjson:
            schema:
              type: string
              description: One DocumentRequest a line.
      responses:
        '202':
          description: On disk, and queued to be learned.
          headers:
            Location:
              description: Where the new resource is.
              schema:
                type: string
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Acceptance'
              example:
                document:
                  id: doc_17
                  space: default
                  sha256: b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9
                  status: queued
                  title: null
                  metadata: null
                  bytes: 11
                  tokens: 3
                  created: '2026-11-21T00:33:23.049Z'
                  learned: null
                  job_id: job_18
                  losses:
                    base: null
                    learned: null
                    now: null
                  generations: []
                job:
                  id: job_18
                  kind: learn
                  status: queued
                  space: default
                  progress: 0
                  created: '2026-11-21T00:33:23.049Z'
                  started: null
                  finished: null
                  error: null
                  document_id: doc_17
                existing: false
        '200':
          description: 'A stream: of events if `Accept: text/event-stream` asked for them, of lines for NDJSON.'
          content:
            text/event-stream:
              schema:
                type: string
                description: Events `accepted` (Acceptance), `progress` (Progress), then `learned`, `failed` or
                  `cancelled` (JobAnswer).
            application/x-ndjson:
              schema:
                oneOf:
                - $ref: '#/components/schemas/Acceptance'
                - $ref: '#/components/schemas/Problem'
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '409':
          $ref: '#/components/responses/Conflict'
        '413':
          $ref: '#/components/responses/TooLarge'
        '415':
          $ref: '#/components/responses/UnsupportedMediaType'
        '429':
          $ref: '#/components/responses/TooManyRequests'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
        '507':
          $ref: '#/components/responses/DiskFull'
        '406':
          $ref: '#/components/responses/NotAcceptable'
    get:
      operationId: listDocuments
      tags:
      - Documents
      summary: List documents, oldest first
      parameters:
      - $ref: '#/components/parameters/Space'
      - $ref: '#/components/parameters/Limit'
      - $ref: '#/components/parameters/After'
      responses:
        '200':
          description: A page.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/DocumentList'
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
  /v1/documents/{id}:
    get:
      operationId: getDocument
      tags:
      - Documents
      summary: 'One document: losses, generations touched'
      parameters:
      - $ref: '#/components/parameters/ID'
      - $ref: '#/components/parameters/Space'
      responses:
        '200':
          description: The document.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Document'
              example:
                id: doc_17
                space: default
                sha256: b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9
                status: queued
                title: null
                metadata: null
                bytes: 11
                tokens: 3
                created: '2026-11-21T00:33:23.049Z'
                learned: null
                job_id: job_18
                losses:
                  base: null
                  learned: null
                  now: null
                generations: []
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '410':
          $ref: '#/components/responses/Forgotten'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
    delete:
      operationId: forgetDocument
      tags:
      - Documents
      summary: Forget a document
      description: |-
        When the answer comes, the document's text, title and metadata are gone from the database file and its log, and with them everything derived from it. What the levels have learned of it goes next, in a job: the space goes back to the newest generation from before the document was learned (the model file, if that was pruned) and does the rest of its log again without it, each event with the settings of its time and the seed it would have had. The result is what the space would be if the document had never been there, to the last bit; `exact` says so, and `reason` why not, if `anchors.txt` has changed since or an older text is damaged.

        Until the rebuilt generation is published, in one step, requests go on reading the one from before, and `state` says `rebuilding`. Publishing it deletes every generation that held something of the document, and sessions that read such a generation (a request that is reading into one at that moment ends with 409 `generation_forgotten`). Snapshots that hold the document are deleted with it at once. Spaces forked from this one that have it forget it as well: there too it is gone at once, and each is rebuilt by a job of its own (`fork_jobs`), with a receipt of its own in that space. `keep` leaves what it names; the receipt lists that under `kept`, and `exact` is then said of the space alone. What callers themselves wrote into sessions is theirs to delete.

        A snapshot that came from a file may hold anything: it stays, and the receipt names it under `kept`. So does one that `keep` has left, from the moment the rebuilt generation is published: it is no longer a state of the space's log, and reads as one from a file (`origin` is `file`, `event` null), like every snapshot made after the document was learned. A space that went back to such a snapshot and is rebuilt from there keeps what it held; `exact` is then false, with that reason. Until the rebuild has ended, the space can't be forked, kept in a snapshot or taken back to one (409 `forgetting_pending`).

        A document that was never learned is gone at once (200); its waiting job is cancelled. One that is being learned has its job cancelled first. Repeated, the answer is the same receipt; a rebuild that failed is queued again. The job survives restarts, begins again after a crash and ends with the same bits. It can't be cancelled: the text is gone already. The receipt stays: `GET` answers 410 with it, until the id is used again.
      parameters:
      - $ref: '#/components/parameters/ID'
      - $ref: '#/components/parameters/Space'
      - name: keep
        in: query
        description: What may go on holding the document, separated by commas.
        schema:
          type: string
          description: 'Some of snapshots, forks, sessions'
          pattern: ^(snapshots|forks|sessions)(,(snapshots|forks|sessions))*$
      responses:
        '200':
          description: Nothing is left to do.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Forgetting'
        '202':
          description: The document is deleted, the space is being rebuilt.
          headers:
            Location:
              description: The job.
              schema:
                type: string
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Forgetting'
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '409':
          $ref: '#/components/responses/Conflict'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
        '507':
          $ref: '#/components/responses/DiskFull'
  /v1/jobs:
    get:
      operationId: listJobs
      tags:
      - Jobs
      summary: List jobs, newest first
      parameters:
      - $ref: '#/components/parameters/Space'
      - $ref: '#/components/parameters/Limit'
      - $ref: '#/components/parameters/After'
      - name: status
        in: query
        description: Only these.
        schema:
          type: string
          enum:
          - queued
          - running
          - learned
          - adopted
          - rejected
          - forgotten
          - restored
          - failed
          - cancelled
      responses:
        '200':
          description: A page.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/JobList'
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
  /v1/jobs/{id}:
    get:
      operationId: getJob
      tags:
      - Jobs
      summary: One job, or its life as events
      parameters:
      - $ref: '#/components/parameters/ID'
      - $ref: '#/components/parameters/OnlySpace'
      - $ref: '#/components/parameters/AcceptEvents'
      responses:
        '200':
          description: The job.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Job'
              example:
                id: job_18
                kind: learn
                status: running
                space: default
                progress: 0.25
                created: '2026-11-21T00:33:23.049Z'
                started: '2026-11-21T00:33:23.050Z'
                finished: null
                error: null
                document_id: doc_17
                pass: 2
                tokens: 412
                loss: 1.83
            text/event-stream:
              schema:
                type: string
                description: As for documents; a consolidation ends with `adopted` or `rejected` (ConsolidationOutcome),
                  forgetting a document has `progress` of its own (ReplayProgress) and ends with `forgotten` (JobAnswer).
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '413':
          $ref: '#/components/responses/TooLarge'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
    delete:
      operationId: cancelJob
      tags:
      - Jobs
      summary: Cancel a job
      description: A queued job ends now, a running one at its next chunk boundary, with the levels as they were
        before it. A job that forgets a document can't be cancelled (409 `forgetting_is_final`), since its document is
        deleted already.
      parameters:
      - $ref: '#/components/parameters/ID'
      - $ref: '#/components/parameters/OnlySpace'
      responses:
        '200':
          description: The job as it is now.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Job'
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '409':
          $ref: '#/components/responses/Conflict'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
        '507':
          $ref: '#/components/responses/DiskFull'
  /v1/memory/levels:
    get:
      operationId: getLevels
      tags:
      - Memory
      summary: What each level of memory has learned
      parameters:
      - $ref: '#/components/parameters/Space'
      - name: session
        in: query
        description: Show the session's own levels as they are in it.
        schema:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
      responses:
        '200':
          description: The levels, faster first.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Levels'
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
  /v1/memory/levels/{name}/history:
    get:
      operationId: getLevelHistory
      tags:
      - Memory
      summary: A level at each generation, newest first
      parameters:
      - name: name
        in: path
        required: true
        schema:
          type: string
      - $ref: '#/components/parameters/Space'
      - $ref: '#/components/parameters/Limit'
      - $ref: '#/components/parameters/After'
      responses:
        '200':
          description: A page.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/LevelHistory'
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
  /v1/memory/retention:
    get:
      operationId: getRetention
      tags:
      - Memory
      summary: How well the documents are still known
      description: |-
        Live figures over the learned documents of a space, and one entry a document, oldest first. Every document keeps its loss (mean next-token loss in nats a token, learning off) by the untouched base, when just learned, and now; `now` is measured again in the background while the learner has nothing else to do, oldest measurement first, within `--remeasure-tokens` a minute. `measurement` says when and by which generation, and whether that is the newest: if not, `now` is older than the levels.

        A document's score is a = exp(-loss), the geometric mean of its tokens' probabilities; it stands where the papers have a task's accuracy. With N documents, a_i(base), a_i(learned), a_i(now) and a_i(best) the highest score of all measurements before the newest, from when it was learned on (the newest itself where it is the only one):

        - `accuracy` (ACC, Lopez-Paz & Ranzato 2017) is the mean of a_i(now) over all N.
        - `backward_transfer` (BWT, the same) is the mean of a_i(now) - a_i(learned) over all but the document learned last; negative is loss.
        - `forgetting` (Chaudhry et al. 2018) is the mean of a_i(best) - a_i(now) over all but the document learned last; negative where documents are known better than ever before.
        - `net_gain` is the mean of a_i(now) - a_i(base) over all N.

        `losses` are the plain means over all N. A figure without documents to average over is null. Measuring moves no level and is no event of the log.
      parameters:
      - $ref: '#/components/parameters/Space'
      - $ref: '#/components/parameters/Limit'
      - $ref: '#/components/parameters/After'
      responses:
        '200':
          description: The figures, and a page of documents.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Retention'
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
  /v1/memory/consolidations:
    post:
      operationId: consolidate
      tags:
      - Memory
      summary: Consolidate now
      description: Trains a candidate of the slow level on new documents, old ones and the anchors, and adopts it
        only if the anchors' loss rose less than the bound.
      requestBody:
        required: false
        content:
          application/json:
            schema:
              $ref: '#/components/schemas/ConsolidationRequest'
            example:
              space: default
      responses:
        '202':
          description: Queued.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/JobAnswer'
          headers:
            Location:
              description: Where the new resource is.
              schema:
                type: string
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '409':
          $ref: '#/components/responses/Conflict'
        '413':
          $ref: '#/components/responses/TooLarge'
        '415':
          $ref: '#/components/responses/UnsupportedMediaType'
        '429':
          $ref: '#/components/responses/TooManyRequests'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
        '507':
          $ref: '#/components/responses/DiskFull'
    get:
      operationId: listConsolidations
      tags:
      - Memory
      summary: The log of consolidations, newest first
      parameters:
      - $ref: '#/components/parameters/Space'
      - $ref: '#/components/parameters/Limit'
      - $ref: '#/components/parameters/After'
      responses:
        '200':
          description: A page.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/ConsolidationList'
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
  /v1/memory/consolidations/{id}:
    get:
      operationId: getConsolidation
      tags:
      - Memory
      summary: One consolidation and its verdict
      parameters:
      - $ref: '#/components/parameters/ID'
      responses:
        '200':
          description: The consolidation.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Consolidation'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
  /v1/memory/snapshots:
    get:
      operationId: listSnapshots
      tags:
      - Memory
      summary: List a space's snapshots, newest first
      parameters:
      - $ref: '#/components/parameters/Space'
      - $ref: '#/components/parameters/Limit'
      - $ref: '#/components/parameters/After'
      responses:
        '200':
          description: A page.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/SnapshotList'
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
    post:
      operationId: createSnapshot
      tags:
      - Memory
      summary: Name the newest generation of a space and keep it
      requestBody:
        required: true
        content:
          application/json:
            schema:
              $ref: '#/components/schemas/SnapshotRequest'
            example:
              name: before-import
              note: all of 2025
      responses:
        '201':
          description: Made.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Snapshot'
          headers:
            Location:
              description: Where the new resource is.
              schema:
                type: string
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '409':
          $ref: '#/components/responses/Conflict'
        '413':
          $ref: '#/components/responses/TooLarge'
        '415':
          $ref: '#/components/responses/UnsupportedMediaType'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
        '507':
          $ref: '#/components/responses/DiskFull'
  /v1/memory/snapshots/import:
    post:
      operationId: importSnapshot
      tags:
      - Memory
      summary: Make a snapshot of an exported file
      description: 'The file must be of the model that is served. Nothing is known of the documents behind it: once it is restored, those of the space are `unlearned`. At most --max-import-bytes.'
      parameters:
      - $ref: '#/components/parameters/Space'
      - name: name
        in: query
        required: true
        description: What the snapshot is called.
        schema:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
      - name: note
        in: query
        description: At most 4096 bytes.
        schema:
          type: string
      requestBody:
        required: true
        content:
          application/octet-stream:
            schema:
              type: string
              description: A safetensors file.
      responses:
        '201':
          description: Made.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Snapshot'
          headers:
            Location:
              description: Where the new resource is.
              schema:
                type: string
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '409':
          $ref: '#/components/responses/Conflict'
        '413':
          $ref: '#/components/responses/TooLarge'
        '415':
          $ref: '#/components/responses/UnsupportedMediaType'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
        '507':
          $ref: '#/components/responses/DiskFull'
  /v1/memory/snapshots/{id}:
    get:
      operationId: getSnapshot
      tags:
      - Memory
      summary: One snapshot
      parameters:
      - $ref: '#/components/parameters/ID'
      - $ref: '#/components/parameters/Space'
      responses:
        '200':
          description: The snapshot.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Snapshot'
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
    delete:
      operationId: deleteSnapshot
      tags:
      - Memory
      summary: Remove a snapshot
      description: What others share with it stays.
      parameters:
      - $ref: '#/components/parameters/ID'
      - $ref: '#/components/parameters/Space'
      responses:
        '204':
          description: Removed.
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
        '507':
          $ref: '#/components/responses/DiskFull'
  /v1/memory/snapshots/{id}/restore:
    post:
      operationId: restoreSnapshot
      tags:
      - Memory
      summary: Bring a space's levels back to a snapshot
      description: An event of the ordered log, done by a job in its turn; it makes a new generation. Documents learned after the snapshot become `unlearned`, and are learned again when they are sent again.
      parameters:
      - $ref: '#/components/parameters/ID'
      - $ref: '#/components/parameters/Space'
      responses:
        '202':
          description: Queued.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/JobAnswer'
          headers:
            Location:
              description: Where the new resource is.
              schema:
                type: string
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '409':
          $ref: '#/components/responses/Conflict'
        '429':
          $ref: '#/components/responses/TooManyRequests'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
        '507':
          $ref: '#/components/responses/DiskFull'
  /v1/memory/snapshots/{id}/export:
    get:
      operationId: exportSnapshot
      tags:
      - Memory
      summary: The snapshot as a safetensors file
      description: 'Every tensor of the space''s levels, optimizer state included, with counters and the model''s digests as metadata: imported and restored, it scores the same to the last bit and learns on.'
      parameters:
      - $ref: '#/components/parameters/ID'
      - $ref: '#/components/parameters/Space'
      responses:
        '200':
          description: The file.
          content:
            application/octet-stream:
              schema:
                type: string
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
  /v1/memory/snapshots/{id}/diff:
    get:
      operationId: diffSnapshot
      tags:
      - Memory
      summary: How far a snapshot is from another state
      parameters:
      - $ref: '#/components/parameters/ID'
      - $ref: '#/components/parameters/Space'
      - name: against
        in: query
        description: "`current`: the newest generation; `base`: the model file's levels; or the id of another snapshot of the space."
        schema:
          type: string
          default: current
      responses:
        '200':
          description: Per level.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/SnapshotDiff'
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
  /v1/score:
    post:
      operationId: score
      tags:
      - Memory
      summary: Log-probabilities of a given text
      description: Learning is off; no state moves, not even a session's.
      requestBody:
        required: true
        content:
          application/json:
            schema:
              $ref: '#/components/schemas/ScoreRequest'
            example:
              text: Hello, world
      responses:
        '200':
          description: One log-probability a token.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Score'
              example:
                tokens:
                - 0
                - 411
                - 87
                logprobs:
                - null
                - -4.21
                - -2.07
                token_count: 2
                mean_logprob: -3.14
                bits_per_byte: 1.13
                generation: 4
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '409':
          $ref: '#/components/responses/Conflict'
        '413':
          $ref: '#/components/responses/TooLarge'
        '415':
          $ref: '#/components/responses/UnsupportedMediaType'
        '429':
          $ref: '#/components/responses/TooManyRequests'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
  /v1/sessions:
    get:
      operationId: listSessions
      tags:
      - Sessions
      summary: List sessions, oldest first
      parameters:
      - $ref: '#/components/parameters/Space'
      - $ref: '#/components/parameters/Limit'
      - $ref: '#/components/parameters/After'
      responses:
        '200':
          description: A page.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/SessionList'
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
    post:
      operationId: createSession
      tags:
      - Sessions
      summary: Make a session that has read nothing
      requestBody:
        required: false
        content:
          application/json:
            schema:
              $ref: '#/components/schemas/SessionRequest'
            example:
              id: reading-group
      responses:
        '201':
          description: Made.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Session'
          headers:
            Location:
              description: Where the new resource is.
              schema:
                type: string
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '409':
          $ref: '#/components/responses/Conflict'
        '413':
          $ref: '#/components/responses/TooLarge'
        '415':
          $ref: '#/components/responses/UnsupportedMediaType'
        '429':
          $ref: '#/components/responses/TooManyRequests'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
        '507':
          $ref: '#/components/responses/DiskFull'
  /v1/sessions/{id}:
    get:
      operationId: getSession
      tags:
      - Sessions
      summary: One session
      parameters:
      - $ref: '#/components/parameters/ID'
      - $ref: '#/components/parameters/OnlySpace'
      responses:
        '200':
          description: The session.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Session'
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
    delete:
      operationId: deleteSession
      tags:
      - Sessions
      summary: Remove a session and its state
      parameters:
      - $ref: '#/components/parameters/ID'
      - $ref: '#/components/parameters/OnlySpace'
      responses:
        '204':
          description: Removed.
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '409':
          $ref: '#/components/responses/Conflict'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
        '507':
          $ref: '#/components/responses/DiskFull'
  /v1/sessions/{id}/fork:
    post:
      operationId: forkSession
      tags:
      - Sessions
      summary: A second session with the same state
      parameters:
      - $ref: '#/components/parameters/ID'
      - $ref: '#/components/parameters/OnlySpace'
      requestBody:
        required: false
        content:
          application/json:
            schema:
              $ref: '#/components/schemas/ForkRequest'
            example:
              id: reading-group-2
      responses:
        '201':
          description: Made.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Session'
          headers:
            Location:
              description: Where the new resource is.
              schema:
                type: string
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '409':
          $ref: '#/components/responses/Conflict'
        '413':
          $ref: '#/components/responses/TooLarge'
        '415':
          $ref: '#/components/responses/UnsupportedMediaType'
        '429':
          $ref: '#/components/responses/TooManyRequests'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
        '507':
          $ref: '#/components/responses/DiskFull'
  /v1/spaces:
    get:
      operationId: listSpaces
      tags:
      - Spaces
      summary: List spaces, by id
      parameters:
      - $ref: '#/components/parameters/Limit'
      - $ref: '#/components/parameters/After'
      responses:
        '200':
          description: A page.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/SpaceList'
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
    post:
      operationId: createSpace
      tags:
      - Spaces
      summary: Make a space that has learned nothing
      description: Its levels, journal, log, jobs, sessions and snapshots are its own. There may be as many as --max-spaces allows; more is 409.
      requestBody:
        required: true
        content:
          application/json:
            schema:
              $ref: '#/components/schemas/SpaceRequest'
            example:
              id: customer-7
              quotas:
                documents: 1000
      responses:
        '201':
          description: Made.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Space'
          headers:
            Location:
              description: Where the new resource is.
              schema:
                type: string
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '409':
          $ref: '#/components/responses/Conflict'
        '413':
          $ref: '#/components/responses/TooLarge'
        '415':
          $ref: '#/components/responses/UnsupportedMediaType'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
        '507':
          $ref: '#/components/responses/DiskFull'
  /v1/spaces/{id}:
    get:
      operationId: getSpace
      tags:
      - Spaces
      summary: One space, its quotas and what it uses
      parameters:
      - $ref: '#/components/parameters/ID'
      responses:
        '200':
          description: The space.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Space'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
    patch:
      operationId: changeSpace
      tags:
      - Spaces
      summary: Change a name or quotas
      description: A quota that is left out stays as it is; null takes it away. One below what is used only keeps more from coming.
      parameters:
      - $ref: '#/components/parameters/ID'
      requestBody:
        required: true
        content:
          application/json:
            schema:
              $ref: '#/components/schemas/SpaceChangeRequest'
            example:
              quotas:
                documents: null
      responses:
        '200':
          description: The space as it is now.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Space'
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '413':
          $ref: '#/components/responses/TooLarge'
        '415':
          $ref: '#/components/responses/UnsupportedMediaType'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
        '507':
          $ref: '#/components/responses/DiskFull'
    delete:
      operationId: deleteSpace
      tags:
      - Spaces
      summary: Remove a space with everything in it
      description: Its jobs are cancelled first. 409 for the space `default`, while one of its sessions is being read, and while a job has not ended yet.
      parameters:
      - $ref: '#/components/parameters/ID'
      responses:
        '204':
          description: Removed.
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '409':
          $ref: '#/components/responses/Conflict'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
        '507':
          $ref: '#/components/responses/DiskFull'
  /v1/spaces/{id}/fork:
    post:
      operationId: forkSpace
      tags:
      - Spaces
      summary: A second space that goes on from where this one is
      description: It has the same generation, its tensors shared until either changes, and the same journal and log. Sessions, snapshots, and documents that wait are not taken over. Quotas are the parent's unless given.
      parameters:
      - $ref: '#/components/parameters/ID'
      requestBody:
        required: true
        content:
          application/json:
            schema:
              $ref: '#/components/schemas/SpaceRequest'
            example:
              id: customer-7-trial
      responses:
        '201':
          description: Made.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Space'
          headers:
            Location:
              description: Where the new resource is.
              schema:
                type: string
        '400':
          $ref: '#/components/responses/BadRequest'
        '403':
          $ref: '#/components/responses/Forbidden'
        '404':
          $ref: '#/components/responses/NotFound'
        '409':
          $ref: '#/components/responses/Conflict'
        '413':
          $ref: '#/components/responses/TooLarge'
        '415':
          $ref: '#/components/responses/UnsupportedMediaType'
        '500':
          $ref: '#/components/responses/InternalError'
        '503':
          $ref: '#/components/responses/Unavailable'
        '507':
          $ref: '#/components/responses/DiskFull'
  /health/live:
    get:
      operationId: getLiveness
      tags:
      - Operations
      summary: Whether the process makes progress
      responses:
        '200':
          description: Live.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Health'
        '503':
          description: 'Not live: restart it.'
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Health'
        '403':
          $ref: '#/components/responses/Forbidden'
  /health/ready:
    get:
      operationId: getReadiness
      tags:
      - Operations
      summary: Whether requests are taken
      responses:
        '200':
          description: Ready.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Health'
        '503':
          description: Loading, draining or stalled.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Health'
              example:
                status: unavailable
                phase: starting
                reasons:
                - the engine is starting
                notices: []
        '403':
          $ref: '#/components/responses/Forbidden'
  /health/startup:
    get:
      operationId: getStartup
      tags:
      - Operations
      summary: Whether loading is over
      responses:
        '200':
          description: Started.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Health'
        '503':
          description: Still loading.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Health'
        '403':
          $ref: '#/components/responses/Forbidden'
  /metrics:
    get:
      operationId: getMetrics
      tags:
      - Operations
      summary: Prometheus metrics
      responses:
        '200':
          description: Text format 0.0.4.
          content:
            text/plain:
              schema:
                type: string
        '403':
          $ref: '#/components/responses/Forbidden'
  /openapi.yaml:
    get:
      operationId: getContract
      tags:
      - Operations
      summary: This document
      responses:
        '200':
          description: OpenAPI 3.1.
          content:
            application/yaml:
              schema:
                type: string
        '403':
          $ref: '#/components/responses/Forbidden'
  /:
    get:
      operationId: getFrontPage
      tags:
      - Operations
      summary: A page that names the routes
      responses:
        '200':
          description: A page.
          content:
            text/html:
              schema:
                type: string
        '403':
          $ref: '#/components/responses/Forbidden'
components:
  parameters:
    Space:
      name: space
      in: query
      description: Which memory.
      schema:
        type: string
        description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
        pattern: ^[A-Za-z0-9._:-]{1,128}$
        default: default
    OnlySpace:
      name: space
      in: query
      description: Look in this memory only; in another one is 404.
      schema:
        type: string
        description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
        pattern: ^[A-Za-z0-9._:-]{1,128}$
    Limit:
      name: limit
      in: query
      description: Most items to return.
      schema:
        type: integer
        minimum: 1
        maximum: 1000
        default: 100
    After:
      name: after
      in: query
      description: The `next` of the page before.
      schema:
        type: string
        description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
        pattern: ^[A-Za-z0-9._:-]{1,128}$
    ID:
      name: id
      in: path
      required: true
      schema:
        type: string
    IdempotencyKey:
      name: Idempotency-Key
      in: header
      description: 1 to 255 visible ASCII characters. The same key with the same text changes nothing twice; with
        another text it is a conflict. For a stream it covers each line with its number.
      schema:
        type: string
        pattern: ^[!-~]{1,255}$
    AcceptEvents:
      name: Accept
      in: header
      description: '`text/event-stream` follows the learning live: accepted, progress, then learned, adopted, rejected,
        restored, failed or cancelled (or `error` when the daemon shuts down).'
      schema:
        type: string
  schemas:
    CompletionRequest:
      type: object
      description: OpenAI's completion request, with `session`, `space` and `learn`. Fields that would change the
        answer and are not supported are refused, not ignored. A field that is null is as if left out.
      required:
      - prompt
      properties:
        prompt:
          description: A string, token ids, or an array with one of either.
          oneOf:
          - type: string
            minLength: 1
          - type: array
            items:
              type: integer
              minimum: 0
            minItems: 1
          - type: array
            items:
              type: string
              minLength: 1
            minItems: 1
            maxItems: 1
          - type: array
            items:
              type: array
              items:
                type: integer
                minimum: 0
              minItems: 1
            minItems: 1
            maxItems: 1
        max_tokens:
          type:
          - integer
          - 'null'
          description: Most tokens to write; 0 with `echo` only scores. At most --max-tokens-limit.
          minimum: 0
          default: 16
        logprobs:
          type:
          - integer
          - 'null'
          description: Log-probabilities, with this many alternatives a token.
          minimum: 0
          maximum: 20
        echo:
          type:
          - boolean
          - 'null'
          description: Repeat the prompt before the answer, with its log-probabilities if asked.
          default: false
        suffix:
          type:
          - string
          - 'null'
          description: Only an empty string is accepted.
          maxLength: 0
        best_of:
          type:
          - integer
          - 'null'
          description: Only 1 is accepted.
          enum:
          - 1
          - null
        user:
          type:
          - string
          - 'null'
          description: Not read.
        metadata:
          type:
          - object
          - 'null'
          description: Not read.
        store:
          type:
          - boolean
          - 'null'
          description: Not read.
        service_tier:
          type:
          - string
          - 'null'
          description: Not read.
        model:
          type:
          - string
          - 'null'
          description: A name from GET /v1/models; left out, the one that is served.
        temperature:
          type:
          - number
          - 'null'
          description: 0 is greedy.
          minimum: 0
          maximum: 2
          default: 1
        top_p:
          type:
          - number
          - 'null'
          description: Keeps the most likely tokens up to this share.
          exclusiveMinimum: 0
          maximum: 1
          default: 1
        top_k:
          type:
          - integer
          - 'null'
          description: Keeps this many most likely tokens; 0 keeps all. Not of OpenAI.
          minimum: 0
          default: 0
        min_p:
          type:
          - number
          - 'null'
          description: Drops tokens less likely than this times the most likely. Not of OpenAI.
          minimum: 0
          exclusiveMaximum: 1
          default: 0
        seed:
          type:
          - integer
          - 'null'
          description: One seed gives one text, whoever else is being served. Left out, one is drawn and reported.
        stop:
          description: Up to 4 strings that end the answer; they are not part of it.
          oneOf:
          - type: string
            minLength: 1
          - type: array
            items:
              type: string
              minLength: 1
            maxItems: 4
          - type: 'null'
        n:
          type:
          - integer
          - 'null'
          description: Only 1 is accepted.
          enum:
          - 1
          - null
        presence_penalty:
          type:
          - number
          - 'null'
          description: Only 0 is accepted.
          enum:
          - 0
          - null
        frequency_penalty:
          type:
          - number
          - 'null'
          description: Only 0 is accepted.
          enum:
          - 0
          - null
        logit_bias:
          type:
          - object
          - 'null'
          description: Only an empty object is accepted.
          maxProperties: 0
        stream:
          type:
          - boolean
          - 'null'
          description: 'Answer by server-sent events, ended by `data: [DONE]`.'
          default: false
        stream_options:
          type:
          - object
          - 'null'
          description: Only with `stream`.
          properties:
            include_usage:
              type: boolean
              description: One more chunk at the end, with the usage.
        ignore_eos:
          type:
          - boolean
          - 'null'
          description: Go on after the end-of-text token. Not of OpenAI.
          default: false
        space:
          type:
          - string
          - 'null'
          description: Which memory is read.
          pattern: ^[A-Za-z0-9._:-]{1,128}$
          default: default
        session:
          type:
          - string
          - 'null'
          description: 'A session to read on in: the input is appended to what it has read. Where a chat repeats
            the whole conversation, the part already read is not read again. Left out, a fresh session that ends
            with the request.'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        learn:
          type:
          - string
          - 'null'
          description: 'What the request may change: nothing, the fast level of its session (the default where a
            session is named, else `none`), or the space: then the prompt is also learned as a document, by a job
            that the answer reports.'
          enum:
          - none
          - session
          - space
          - null
        recall:
          type:
          - string
          - 'null'
          description: 'Where knowledge comes from: the levels (`weights`), passages of the space''s documents read
            by the untouched base (`journal`), or both. The passages nearest to the prompt by their words (BM25; of
            a chat, to what the user said last) are read before it, each followed by an empty line, the nearest
            last. Not with `session`.'
          enum:
          - weights
          - journal
          - both
          - null
          default: weights
        recall_budget:
          type:
          - integer
          - 'null'
          description: Most tokens of passages, up to the daemon's limit for a request; only with `recall`. Left
            out, what `--recall-budget-tokens` says.
          minimum: 1
      additionalProperties: false
    ChatMessage:
      type: object
      required:
      - role
      - content
      properties:
        role:
          type: string
          enum:
          - system
          - developer
          - user
          - assistant
        content:
          oneOf:
          - type: string
          - type: array
            items:
              type: object
              required:
              - type
              - text
              properties:
                type:
                  const: text
                text:
                  type: string
    ChatCompletionRequest:
      type: object
      required:
      - messages
      properties:
        messages:
          type: array
          minItems: 1
          items:
            $ref: '#/components/schemas/ChatMessage'
        max_tokens:
          type:
          - integer
          - 'null'
          description: Most tokens to write, by default --max-tokens-limit.
          minimum: 0
        max_completion_tokens:
          type:
          - integer
          - 'null'
          description: The newer name of max_tokens; it wins.
          minimum: 0
        logprobs:
          type:
          - boolean
          - 'null'
          description: Log-probabilities of the tokens written.
          default: false
        top_logprobs:
          type:
          - integer
          - 'null'
          description: Alternatives a token; needs `logprobs`.
          minimum: 0
          maximum: 20
        tools:
          type:
          - array
          - 'null'
          description: Only an empty array is accepted.
          maxItems: 0
        response_format:
          type:
          - object
          - 'null'
          required:
          - type
          properties:
            type:
              const: text
        user:
          type:
          - string
          - 'null'
          description: Not read.
        metadata:
          type:
          - object
          - 'null'
          description: Not read.
        store:
          type:
          - boolean
          - 'null'
          description: Not read.
        service_tier:
          type:
          - string
          - 'null'
          description: Not read.
        tool_choice:
          description: Not read.
        parallel_tool_calls:
          type:
          - boolean
          - 'null'
          description: Not read.
        safety_identifier:
          type:
          - string
          - 'null'
          description: Not read.
        prompt_cache_key:
          type:
          - string
          - 'null'
          description: Not read.
        reasoning_effort:
          type:
          - string
          - 'null'
          description: Not read.
        verbosity:
          type:
          - string
          - 'null'
          description: Not read.
        model:
          type:
          - string
          - 'null'
          description: A name from GET /v1/models; left out, the one that is served.
        temperature:
          type:
          - number
          - 'null'
          description: 0 is greedy.
          minimum: 0
          maximum: 2
          default: 1
        top_p:
          type:
          - number
          - 'null'
          description: Keeps the most likely tokens up to this share.
          exclusiveMinimum: 0
          maximum: 1
          default: 1
        top_k:
          type:
          - integer
          - 'null'
          description: Keeps this many most likely tokens; 0 keeps all. Not of OpenAI.
          minimum: 0
          default: 0
        min_p:
          type:
          - number
          - 'null'
          description: Drops tokens less likely than this times the most likely. Not of OpenAI.
          minimum: 0
          exclusiveMaximum: 1
          default: 0
        seed:
          type:
          - integer
          - 'null'
          description: One seed gives one text, whoever else is being served. Left out, one is drawn and reported.
        stop:
          description: Up to 4 strings that end the answer; they are not part of it.
          oneOf:
          - type: string
            minLength: 1
          - type: array
            items:
              type: string
              minLength: 1
            maxItems: 4
          - type: 'null'
        n:
          type:
          - integer
          - 'null'
          description: Only 1 is accepted.
          enum:
          - 1
          - null
        presence_penalty:
          type:
          - number
          - 'null'
          description: Only 0 is accepted.
          enum:
          - 0
          - null
        frequency_penalty:
          type:
          - number
          - 'null'
          description: Only 0 is accepted.
          enum:
          - 0
          - null
        logit_bias:
          type:
          - object
          - 'null'
          description: Only an empty object is accepted.
          maxProperties: 0
        stream:
          type:
          - boolean
          - 'null'
          description: 'Answer by server-sent events, ended by `data: [DONE]`.'
          default: false
        stream_options:
          type:
          - object
          - 'null'
          description: Only with `stream`.
          properties:
            include_usage:
              type: boolean
              description: One more chunk at the end, with the usage.
        ignore_eos:
          type:
          - boolean
          - 'null'
          description: Go on after the end-of-text token. Not of OpenAI.
          default: false
        space:
          type:
          - string
          - 'null'
          description: Which memory is read.
          pattern: ^[A-Za-z0-9._:-]{1,128}$
          default: default
        session:
          type:
          - string
          - 'null'
          description: 'A session to read on in: the input is appended to what it has read. Where a chat repeats
            the whole conversation, the part already read is not read again. Left out, a fresh session that ends
            with the request.'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        learn:
          type:
          - string
          - 'null'
          description: 'What the request may change: nothing, the fast level of its session (the default where a
            session is named, else `none`), or the space: then the prompt is also learned as a document, by a job
            that the answer reports.'
          enum:
          - none
          - session
          - space
          - null
        recall:
          type:
          - string
          - 'null'
          description: 'Where knowledge comes from: the levels (`weights`), passages of the space''s documents read
            by the untouched base (`journal`), or both. The passages nearest to the prompt by their words (BM25; of
            a chat, to what the user said last) are read before it, each followed by an empty line, the nearest
            last. Not with `session`.'
          enum:
          - weights
          - journal
          - both
          - null
          default: weights
        recall_budget:
          type:
          - integer
          - 'null'
          description: Most tokens of passages, up to the daemon's limit for a request; only with `recall`. Left
            out, what `--recall-budget-tokens` says.
          minimum: 1
      additionalProperties: false
      description: A field that is null is as if left out.
    Usage:
      type: object
      required:
      - completion_tokens
      - prompt_tokens
      - prompt_tokens_details
      - total_tokens
      properties:
        prompt_tokens:
          type: integer
          minimum: 0
        completion_tokens:
          type: integer
          minimum: 0
        total_tokens:
          type: integer
          minimum: 0
        prompt_tokens_details:
          type: object
          required:
          - cached_tokens
          properties:
            cached_tokens:
              type: integer
              description: Tokens the session had read already.
              minimum: 0
          additionalProperties: false
      additionalProperties: false
    GenerationDetail:
      type: object
      description: What is said beyond OpenAI's fields; in a stream, on the chunk with the finish reason.
      required:
      - fast_updates
      - generation
      - seed
      - space
      properties:
        generation:
          type: integer
          description: The generation of the space that the request was pinned to.
          minimum: 0
        seed:
          type: string
          description: 'The seed used, as a string: it may need all 64 bits.'
        space:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        session:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        fast_updates:
          type: integer
          description: Updates of the session's fast level that the request caused.
          minimum: 0
        job:
          $ref: '#/components/schemas/Job'
        recall:
          type: array
          description: With `recall`, the documents whose passages were read before the prompt, nearest first.
          items:
            type: object
            required:
            - document
            - score
            properties:
              document:
                type: string
                description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
                pattern: ^[A-Za-z0-9._:-]{1,128}$
              score:
                type: number
                description: BM25 of its nearest passage, as a share of the nearest of all.
                minimum: 0
                maximum: 1
            additionalProperties: false
      additionalProperties: false
    FinishReason:
      type: string
      enum:
      - stop
      - length
    CompletionLogprobs:
      type: object
      required:
      - text_offset
      - token_logprobs
      - tokens
      - top_logprobs
      properties:
        tokens:
          type: array
          items:
            type: string
        token_logprobs:
          type: array
          items:
            type:
            - number
            - 'null'
        top_logprobs:
          oneOf:
          - type: array
            items:
              oneOf:
              - type: object
                additionalProperties:
                  type: number
              - type: 'null'
          - type: 'null'
        text_offset:
          type: array
          items:
            type: integer
            minimum: 0
          description: Where each token begins, in Unicode scalars of the text.
      additionalProperties: false
    CompletionChoice:
      type: object
      required:
      - finish_reason
      - index
      - logprobs
      - text
      properties:
        index:
          const: 0
        text:
          type: string
        logprobs:
          oneOf:
          - $ref: '#/components/schemas/CompletionLogprobs'
          - type: 'null'
        finish_reason:
          oneOf:
          - $ref: '#/components/schemas/FinishReason'
          - type: 'null'
      additionalProperties: false
    Completion:
      type: object
      description: An answer, whole or as a chunk of a stream.
      required:
      - choices
      - created
      - id
      - model
      - object
      properties:
        id:
          type: string
        object:
          const: text_completion
        created:
          type: integer
          description: Unix seconds.
        model:
          type: string
        choices:
          type: array
          items:
            $ref: '#/components/schemas/CompletionChoice'
        usage:
          $ref: '#/components/schemas/Usage'
        nlserver:
          $ref: '#/components/schemas/GenerationDetail'
      additionalProperties: false
    ChatLogprobs:
      type: object
      required:
      - content
      properties:
        content:
          type: array
          items:
            type: object
            required:
            - bytes
            - logprob
            - token
            - top_logprobs
            properties:
              token:
                type: string
              logprob:
                type: number
              bytes:
                type: array
                items:
                  type: integer
              top_logprobs:
                type: array
                items:
                  type: object
                  required:
                  - bytes
                  - logprob
                  - token
                  properties:
                    token:
                      type: string
                    logprob:
                      type: number
                    bytes:
                      type: array
                      items:
                        type: integer
                  additionalProperties: false
            additionalProperties: false
      additionalProperties: false
    ChatCompletion:
      type: object
      required:
      - choices
      - created
      - id
      - model
      - nlserver
      - object
      - usage
      properties:
        id:
          type: string
        object:
          const: chat.completion
        created:
          type: integer
          description: Unix seconds.
        model:
          type: string
        choices:
          type: array
          items:
            type: object
            required:
            - finish_reason
            - index
            - logprobs
            - message
            properties:
              index:
                const: 0
              message:
                type: object
                required:
                - content
                - refusal
                - role
                properties:
                  role:
                    const: assistant
                  content:
                    type: string
                  refusal:
                    type: 'null'
                additionalProperties: false
              logprobs:
                oneOf:
                - $ref: '#/components/schemas/ChatLogprobs'
                - type: 'null'
              finish_reason:
                $ref: '#/components/schemas/FinishReason'
            additionalProperties: false
        usage:
          $ref: '#/components/schemas/Usage'
        nlserver:
          $ref: '#/components/schemas/GenerationDetail'
      additionalProperties: false
    ChatCompletionChunk:
      type: object
      required:
      - choices
      - created
      - id
      - model
      - object
      properties:
        id:
          type: string
        object:
          const: chat.completion.chunk
        created:
          type: integer
        model:
          type: string
        choices:
          type: array
          items:
            type: object
            required:
            - delta
            - finish_reason
            - index
            - logprobs
            properties:
              index:
                const: 0
              delta:
                type: object
                required: []
                properties:
                  role:
                    const: assistant
                  content:
                    type: string
                additionalProperties: false
              logprobs:
                oneOf:
                - $ref: '#/components/schemas/ChatLogprobs'
                - type: 'null'
              finish_reason:
                oneOf:
                - $ref: '#/components/schemas/FinishReason'
                - type: 'null'
            additionalProperties: false
        usage:
          $ref: '#/components/schemas/Usage'
        nlserver:
          $ref: '#/components/schemas/GenerationDetail'
      additionalProperties: false
    Model:
      type: object
      required:
      - created
      - fingerprint
      - id
      - levels
      - object
      - owned_by
      - parameters
      - vocabulary_size
      properties:
        id:
          type: string
        object:
          const: model
        created:
          type: integer
        owned_by:
          type: string
        fingerprint:
          type: string
          description: SHA-256 of architecture, tokenizer and weights.
        parameters:
          type: integer
          minimum: 0
        vocabulary_size:
          type: integer
          minimum: 0
        levels:
          type: array
          items:
            type: string
          description: Names of the memory levels, faster first.
      additionalProperties: false
    ModelList:
      type: object
      required:
      - data
      - object
      properties:
        object:
          const: list
        data:
          type: array
          items:
            $ref: '#/components/schemas/Model'
      additionalProperties: false
    DocumentRequest:
      type: object
      required:
      - text
      properties:
        text:
          type: string
          description: At most --max-document-bytes in UTF-8.
          minLength: 1
        id:
          type:
          - string
          - 'null'
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        title:
          type:
          - string
          - 'null'
          description: At most 1024 bytes.
        space:
          type:
          - string
          - 'null'
          description: By default `default`.
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        metadata:
          type:
          - object
          - 'null'
          description: Kept as it is.
      additionalProperties: false
      description: A field that is null is as if left out.
    Losses:
      type: object
      description: 'Mean loss in nats a token: by the untouched base, when just learned, now.'
      required:
      - base
      - learned
      - now
      properties:
        base:
          type:
          - number
          - 'null'
        learned:
          type:
          - number
          - 'null'
        now:
          type:
          - number
          - 'null'
      additionalProperties: false
    Document:
      type: object
      required:
      - bytes
      - created
      - generations
      - id
      - job_id
      - learned
      - losses
      - metadata
      - sha256
      - space
      - status
      - title
      - tokens
      properties:
        id:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        space:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        sha256:
          type: string
          description: Of the text in UTF-8.
          pattern: ^[0-9a-f]{64}$
        status:
          type: string
          enum:
          - queued
          - learning
          - learned
          - failed
          - cancelled
          - unlearned
          description: '`unlearned`: a restore went back to before it was learned; sent again, it is learned again.'
        title:
          type:
          - string
          - 'null'
        metadata:
          type:
          - object
          - 'null'
        bytes:
          type: integer
          minimum: 0
        tokens:
          type: integer
          minimum: 0
        created:
          type: string
          format: date-time
        learned:
          type:
          - string
          - 'null'
          format: date-time
        job_id:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        losses:
          $ref: '#/components/schemas/Losses'
        generations:
          type: array
          items:
            type: integer
            minimum: 0
          description: Generations whose levels the document changed.
      additionalProperties: false
    Job:
      type: object
      required:
      - created
      - error
      - finished
      - id
      - kind
      - progress
      - space
      - started
      - status
      properties:
        id:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        kind:
          type: string
          enum:
          - learn
          - consolidate
          - forget
          - restore
        status:
          type: string
          enum:
          - queued
          - running
          - learned
          - adopted
          - rejected
          - forgotten
          - restored
          - failed
          - cancelled
        space:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        progress:
          type: number
          minimum: 0
          maximum: 1
        created:
          type: string
          format: date-time
        started:
          type:
          - string
          - 'null'
          format: date-time
        finished:
          type:
          - string
          - 'null'
          format: date-time
        error:
          oneOf:
          - type: object
            required:
            - code
            - message
            properties:
              code:
                type: string
              message:
                type: string
            additionalProperties: false
          - type: 'null'
        document_id:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        consolidation_id:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        snapshot_id:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        pass:
          type: integer
          description: Passes over the document so far.
          minimum: 0
        tokens:
          type: integer
          description: Tokens trained on so far, rehearsal included.
          minimum: 0
        loss:
          type: number
          description: Nats a token over the last pass.
        target_reached:
          type: boolean
          description: False where the job ended on its budget.
        generation:
          type: integer
          description: The generation the job published.
          minimum: 0
        events_replayed:
          type: integer
          description: Of a rebuild, events of the log done again so far.
          minimum: 0
        events:
          type: integer
          description: Of a rebuild, events to do again.
          minimum: 0
        receipt:
          $ref: '#/components/schemas/ForgetReceipt'
      additionalProperties: false
    DocumentHolders:
      type: object
      required:
      - forks
      - sessions
      - snapshots
      properties:
        snapshots:
          type: array
          items:
            type: string
        forks:
          type: array
          items:
            type: string
          description: Spaces forked from this one after the document was learned.
        sessions:
          type: array
          items:
            type: string
      additionalProperties: false
    ForgetReceipt:
      type: object
      required:
      - completed
      - document
      - events_replayed
      - exact
      - fork_jobs
      - generation
      - job_id
      - kept
      - reason
      - rebuilt_from
      - removed
      - requested
      - space
      - state
      properties:
        document:
          type: string
        space:
          type: string
        state:
          type: string
          enum:
          - rebuilding
          - forgotten
          - failed
          description: While `rebuilding`, requests read the generation from before.
        exact:
          type:
          - boolean
          - 'null'
          description: Whether the space is what it would be without the document, to the last bit; null until rebuilt.
        reason:
          type:
          - string
          - 'null'
          description: Why not, or why the rebuild failed.
        requested:
          type: string
          format: date-time
        completed:
          type:
          - string
          - 'null'
          format: date-time
        job_id:
          type:
          - string
          - 'null'
          description: The job that rebuilds; null where nothing had been learned.
        rebuilt_from:
          type:
          - integer
          - 'null'
          minimum: 0
          description: The generation the rebuild began from; 0 is the model file.
        events_replayed:
          type: integer
          minimum: 0
        generation:
          type:
          - integer
          - 'null'
          minimum: 0
          description: The first without the document.
        fork_jobs:
          type: array
          description: Rebuilds of spaces forked from this one.
          items:
            type: object
            required:
            - job_id
            - space
            properties:
              space:
                type: string
              job_id:
                type:
                - string
                - 'null'
            additionalProperties: false
        removed:
          $ref: '#/components/schemas/DocumentHolders'
          description: What held it and goes with it; complete when the rebuild has ended.
        kept:
          $ref: '#/components/schemas/DocumentHolders'
          description: What still holds it because the caller keeps it, and snapshots that came from files.
      additionalProperties: false
    Forgetting:
      type: object
      required:
      - document
      - job
      - receipt
      properties:
        document:
          type: object
          required:
          - id
          - space
          - status
          properties:
            id:
              type: string
            space:
              type: string
            status:
              type: string
              enum:
              - rebuilding
              - forgotten
              - failed
          additionalProperties: false
        job:
          oneOf:
          - $ref: '#/components/schemas/Job'
          - type: 'null'
        receipt:
          $ref: '#/components/schemas/ForgetReceipt'
      additionalProperties: false
    ReplayProgress:
      type: object
      description: '`progress` of a job that forgets a document.'
      required:
      - events
      - events_replayed
      - progress
      properties:
        events_replayed:
          type: integer
          minimum: 0
        events:
          type: integer
          minimum: 0
        progress:
          type: number
      additionalProperties: false
    JobAnswer:
      type: object
      required:
      - job
      properties:
        job:
          $ref: '#/components/schemas/Job'
      additionalProperties: false
    Acceptance:
      type: object
      required:
      - document
      - existing
      - job
      properties:
        line:
          type: integer
          description: Of the NDJSON stream.
          minimum: 1
        document:
          $ref: '#/components/schemas/Document'
        job:
          $ref: '#/components/schemas/Job'
        existing:
          type: boolean
          description: Whether the document was here before, so that nothing was added.
      additionalProperties: false
    Progress:
      type: object
      required:
      - loss
      - pass
      - progress
      - tokens
      properties:
        pass:
          type: integer
          minimum: 0
        tokens:
          type: integer
          minimum: 0
        loss:
          type: number
        progress:
          type: number
      additionalProperties: false
    Surprise:
      type: object
      description: 'Next-token loss in nats: over the last chunk, and the mean over all.'
      required:
      - last
      - mean
      properties:
        last:
          type:
          - number
          - 'null'
        mean:
          type:
          - number
          - 'null'
      additionalProperties: false
    Level:
      type: object
      required:
      - adapts
      - bytes
      - chunk_size
      - delta_norm
      - kind
      - last_update
      - learning_rate
      - name
      - next_due
      - optimizer
      - owner
      - parameters
      - pending_tokens
      - relative_drift
      - surprise
      - tokens_read
      - updates
      properties:
        name:
          type: string
        kind:
          type: string
          enum:
          - self_modifying_titans
          - attention
          - cms
          - base
        owner:
          type: string
          enum:
          - session
          - space
          - model_file
        adapts:
          type: array
          items:
            type: string
          description: Which tensors the level changes.
        chunk_size:
          type: integer
          description: Tokens between updates.
          minimum: 0
        parameters:
          type: integer
          description: Scalars the level adapts.
          minimum: 0
        tokens_read:
          type: integer
          minimum: 0
        pending_tokens:
          type: integer
          description: Tokens in the open chunk.
          minimum: 0
        updates:
          type: integer
          minimum: 0
        last_update:
          type:
          - string
          - 'null'
          format: date-time
        delta_norm:
          type: number
        relative_drift:
          type: number
          description: delta_norm over the norm of the same base parameters; of all of them where those are zero, as the values of slots.
        surprise:
          $ref: '#/components/schemas/Surprise'
        optimizer:
          type:
          - string
          - 'null'
        learning_rate:
          type:
          - number
          - 'null'
        next_due:
          type: string
          description: In words. Of the slow level with the schedule that is due first and its moment.
        bytes:
          type: integer
          minimum: 0
      additionalProperties: false
    Levels:
      type: object
      required:
      - age
      - generation
      - levels
      - session
      - space
      properties:
        space:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        session:
          type:
          - string
          - 'null'
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        generation:
          type: integer
          minimum: 0
        age:
          type: number
          description: Seconds since the generation was published.
        levels:
          type: array
          items:
            $ref: '#/components/schemas/Level'
      additionalProperties: false
    LevelHistoryEntry:
      type: object
      required:
      - bytes
      - created
      - delta_norm
      - generation
      - job_id
      - mean_surprise
      - relative_drift
      - tokens_read
      - updates
      properties:
        generation:
          type: integer
          minimum: 0
        created:
          type: string
          format: date-time
        job_id:
          type:
          - string
          - 'null'
        updates:
          type: integer
          minimum: 0
        tokens_read:
          type: integer
          minimum: 0
        delta_norm:
          type: number
        relative_drift:
          type: number
        mean_surprise:
          type:
          - number
          - 'null'
        bytes:
          type: integer
          minimum: 0
      additionalProperties: false
    RetentionLosses:
      type: object
      description: 'Mean loss in nats a token: by the untouched base, when just learned, the lowest before the newest measurement, now.'
      required:
      - base
      - best
      - learned
      - now
      properties:
        base:
          type: number
        learned:
          type: number
        best:
          type: number
        now:
          type: number
      additionalProperties: false
    RetentionDocument:
      type: object
      required:
      - backward_transfer
      - forgetting
      - id
      - learned
      - losses
      - measurement
      - net_gain
      - score
      - tokens
      properties:
        id:
          type: string
        tokens:
          type: integer
          minimum: 0
        learned:
          type:
          - string
          - 'null'
          format: date-time
        score:
          type: number
          description: exp(-loss) now.
        backward_transfer:
          type: number
        forgetting:
          type: number
        net_gain:
          type: number
        losses:
          $ref: '#/components/schemas/RetentionLosses'
        measurement:
          type: object
          required:
          - at
          - current
          - generation
          properties:
            at:
              type:
              - string
              - 'null'
              format: date-time
            generation:
              type:
              - integer
              - 'null'
              description: The generation that was measured; null where it was not kept.
            current:
              type: boolean
              description: Whether that is the newest generation.
          additionalProperties: false
      additionalProperties: false
    Retention:
      type: object
      required:
      - accuracy
      - backward_transfer
      - data
      - documents
      - forgetting
      - generation
      - has_more
      - losses
      - measured_now
      - net_gain
      - next
      - object
      - oldest_measurement
      - space
      properties:
        space:
          type: string
        generation:
          type: integer
          minimum: 0
          description: The newest.
        documents:
          type: integer
          minimum: 0
          description: Learned documents, all of them.
        measured_now:
          type: integer
          minimum: 0
          description: Documents measured by the newest generation.
        accuracy:
          type:
          - number
          - 'null'
        backward_transfer:
          type:
          - number
          - 'null'
        forgetting:
          type:
          - number
          - 'null'
        net_gain:
          type:
          - number
          - 'null'
        losses:
          oneOf:
          - $ref: '#/components/schemas/RetentionLosses'
          - type: 'null'
        oldest_measurement:
          type:
          - string
          - 'null'
          format: date-time
        object:
          const: list
        data:
          type: array
          items:
            $ref: '#/components/schemas/RetentionDocument'
        has_more:
          type: boolean
        next:
          type:
          - string
          - 'null'
          description: What to send as `after` for the next page.
      additionalProperties: false
    LossChange:
      type: object
      required:
      - after
      - before
      properties:
        before:
          type:
          - number
          - 'null'
        after:
          type:
          - number
          - 'null'
      additionalProperties: false
    Consolidation:
      type: object
      required:
      - anchor_bound
      - anchor_loss
      - document_loss
      - documents
      - finished
      - generation_after
      - generation_before
      - id
      - job_id
      - reason
      - space
      - started
      - tokens
      - trigger
      - verdict
      properties:
        id:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        job_id:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        space:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        trigger:
          type: string
          enum:
          - manual
          - schedule
          - cron
          - idle
          - medium_full
        started:
          type: string
          format: date-time
        finished:
          type:
          - string
          - 'null'
          format: date-time
        verdict:
          enum:
          - adopted
          - rejected
          - null
        reason:
          type:
          - string
          - 'null'
        anchor_loss:
          $ref: '#/components/schemas/LossChange'
        document_loss:
          $ref: '#/components/schemas/LossChange'
        anchor_bound:
          type: number
          description: Highest relative rise of the anchors' loss that is adopted.
        documents:
          type: integer
          minimum: 0
        tokens:
          type: integer
          minimum: 0
        generation_before:
          type: integer
          minimum: 0
        generation_after:
          type:
          - integer
          - 'null'
      additionalProperties: false
    ConsolidationRequest:
      type: object
      required: []
      properties:
        space:
          type:
          - string
          - 'null'
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
      additionalProperties: false
      description: A field that is null is as if left out.
    ConsolidationOutcome:
      type: object
      required:
      - consolidation
      - job
      properties:
        job:
          $ref: '#/components/schemas/Job'
        consolidation:
          $ref: '#/components/schemas/Consolidation'
      additionalProperties: false
    ScoreRequest:
      description: Either `text`, or `prompt` and `completion`, of which only the completion is scored.
      type: object
      properties:
        text:
          type: string
          minLength: 1
        prompt:
          type: string
          minLength: 1
        completion:
          type: string
          minLength: 1
        space:
          type:
          - string
          - 'null'
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        session:
          type:
          - string
          - 'null'
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        model:
          type:
          - string
          - 'null'
      additionalProperties: false
      oneOf:
      - required:
        - text
        not:
          anyOf:
          - required:
            - prompt
          - required:
            - completion
      - required:
        - prompt
        - completion
        not:
          required:
          - text
    Score:
      type: object
      required:
      - bits_per_byte
      - generation
      - logprobs
      - mean_logprob
      - token_count
      - tokens
      properties:
        tokens:
          type: array
          items:
            type: integer
            minimum: 0
          description: BOS first.
        logprobs:
          type: array
          items:
            type:
            - number
            - 'null'
          description: Natural logarithms, one a token; null for BOS and the prompt.
        token_count:
          type: integer
          description: Tokens scored.
          minimum: 0
        mean_logprob:
          type: number
        bits_per_byte:
          type: number
          description: Over the UTF-8 bytes of the scored text.
        generation:
          type: integer
          minimum: 0
      additionalProperties: false
    SessionRequest:
      type: object
      required: []
      properties:
        id:
          type:
          - string
          - 'null'
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        space:
          type:
          - string
          - 'null'
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
      additionalProperties: false
      description: A field that is null is as if left out.
    ForkRequest:
      type: object
      required: []
      properties:
        id:
          type:
          - string
          - 'null'
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
      additionalProperties: false
      description: A field that is null is as if left out.
    Session:
      type: object
      required:
      - bytes
      - created
      - fast_updates
      - generation
      - id
      - in_use
      - last_used
      - parent
      - space
      - tokens
      properties:
        id:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        space:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        created:
          type: string
          format: date-time
        last_used:
          type: string
          format: date-time
        tokens:
          type: integer
          description: Tokens read and written.
          minimum: 0
        fast_updates:
          type: integer
          minimum: 0
        generation:
          type: integer
          description: What its last request read.
          minimum: 0
        parent:
          type:
          - string
          - 'null'
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        in_use:
          type: boolean
        bytes:
          type: integer
          minimum: 0
      additionalProperties: false
    Health:
      type: object
      required:
      - notices
      - phase
      - reasons
      - status
      properties:
        status:
          type: string
          enum:
          - ok
          - unavailable
        phase:
          type: string
          enum:
          - starting
          - running
          - draining
          - stopped
          - failed
        reasons:
          type: array
          items:
            type: string
        notices:
          type: array
          items:
            type: string
          description: What an operator should know although it stops nothing.
      additionalProperties: false
    OpenAIError:
      type: object
      required:
      - error
      properties:
        error:
          type: object
          required:
          - code
          - message
          - param
          - type
          properties:
            message:
              type: string
            type:
              type: string
            param:
              type:
              - string
              - 'null'
            code:
              type:
              - string
              - 'null'
            accepted:
              type: array
              items:
                type: string
              description: What would have been accepted.
          additionalProperties: false
      additionalProperties: false
    Problem:
      type: object
      description: RFC 9457.
      required:
      - code
      - detail
      - status
      - title
      - type
      properties:
        type:
          type: string
        title:
          type: string
        status:
          type: integer
        detail:
          type: string
        instance:
          type: string
        code:
          type: string
          description: A stable word to switch on.
        parameter:
          type: string
          description: The offending field, query parameter or header.
        accepted:
          type: array
          items:
            type: string
        retry_after_seconds:
          type: integer
          minimum: 1
        line:
          type: integer
          description: Of the NDJSON stream.
          minimum: 1
        receipt:
          $ref: '#/components/schemas/ForgetReceipt'
        request_id:
          type: string
      additionalProperties: false
    DocumentList:
      type: object
      required:
      - data
      - has_more
      - next
      - object
      properties:
        object:
          const: list
        data:
          type: array
          items:
            $ref: '#/components/schemas/Document'
        has_more:
          type: boolean
        next:
          type:
          - string
          - 'null'
          description: What to send as `after` for the next page.
      additionalProperties: false
    JobList:
      type: object
      required:
      - data
      - has_more
      - next
      - object
      properties:
        object:
          const: list
        data:
          type: array
          items:
            $ref: '#/components/schemas/Job'
        has_more:
          type: boolean
        next:
          type:
          - string
          - 'null'
          description: What to send as `after` for the next page.
      additionalProperties: false
    LevelHistory:
      type: object
      required:
      - data
      - has_more
      - next
      - object
      properties:
        object:
          const: list
        data:
          type: array
          items:
            $ref: '#/components/schemas/LevelHistoryEntry'
        has_more:
          type: boolean
        next:
          type:
          - string
          - 'null'
          description: What to send as `after` for the next page.
      additionalProperties: false
    ConsolidationList:
      type: object
      required:
      - data
      - forecast
      - has_more
      - next
      - object
      properties:
        object:
          const: list
        data:
          type: array
          items:
            $ref: '#/components/schemas/Consolidation'
        has_more:
          type: boolean
        next:
          type:
          - string
          - 'null'
          description: What to send as `after` for the next page.
        forecast:
          $ref: '#/components/schemas/ConsolidationForecast'
      additionalProperties: false
    ConsolidationForecast:
      type: object
      description: When the space consolidates next without being asked, and why.
      required:
      - documents_untried
      - documents_waiting
      - due
      - queued
      - schedules
      - trigger
      properties:
        queued:
          type: boolean
          description: Whether a consolidation waits or runs.
        documents_waiting:
          type: integer
          description: Documents learned since the last consolidation that was adopted; without any, nothing is due.
          minimum: 0
        documents_untried:
          type: integer
          description: Of those, documents learned since the last one that was tried.
          minimum: 0
        due:
          type:
          - string
          - 'null'
          format: date-time
          description: The earliest of the moments below. One that has passed is overdue and waits for its turn.
        trigger:
          type:
          - string
          - 'null'
          description: The schedule that is due then.
        schedules:
          type: array
          items:
            $ref: '#/components/schemas/ConsolidationSchedule'
      additionalProperties: false
    ConsolidationSchedule:
      type: object
      required:
      - due
      - setting
      - trigger
      properties:
        trigger:
          type: string
          enum:
          - schedule
          - cron
          - idle
          - medium_full
        setting:
          type: string
          description: As it was configured. The five fields of `cron` are in UTC.
        due:
          type:
          - string
          - 'null'
          format: date-time
          description: As things stand; null if it will not be.
      additionalProperties: false
    SessionList:
      type: object
      required:
      - data
      - has_more
      - next
      - object
      properties:
        object:
          const: list
        data:
          type: array
          items:
            $ref: '#/components/schemas/Session'
        has_more:
          type: boolean
        next:
          type:
          - string
          - 'null'
          description: What to send as `after` for the next page.
      additionalProperties: false
    SpaceQuotas:
      type: object
      required: []
      properties:
        documents:
          type:
          - integer
          - 'null'
          description: Documents, whatever became of them.
          minimum: 0
        bytes:
          type:
          - integer
          - 'null'
          description: Bytes of the documents' texts.
          minimum: 0
        learning_seconds:
          type:
          - number
          - 'null'
          description: Seconds the learner works for the space. Asked when documents and consolidations are accepted; consolidations by schedule are counted and not refused.
          minimum: 0
      additionalProperties: false
      description: What a space may use; null is as much as there is. More is 403 `quota_exceeded`.
    SpaceRequest:
      type: object
      required:
      - id
      properties:
        id:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        name:
          type:
          - string
          - 'null'
          description: At most 256 bytes.
          minLength: 1
        quotas:
          $ref: '#/components/schemas/SpaceQuotas'
      additionalProperties: false
    SpaceChangeRequest:
      type: object
      required: []
      properties:
        name:
          type:
          - string
          - 'null'
          description: At most 256 bytes.
          minLength: 1
        quotas:
          $ref: '#/components/schemas/SpaceQuotas'
      additionalProperties: false
    SpaceOrigin:
      oneOf:
      - type: object
        required:
        - event
        - generation
        - space
        properties:
          space:
            type: string
          generation:
            type: integer
            minimum: 0
          event:
            type: integer
            description: The last event of that space's log that the fork has in common with it.
            minimum: 0
        additionalProperties: false
      - type: 'null'
    SpaceUsage:
      type: object
      required:
      - bytes
      - documents
      - learning_seconds
      - sessions
      properties:
        documents:
          type: integer
          minimum: 0
        bytes:
          type: integer
          minimum: 0
        learning_seconds:
          type: number
          minimum: 0
        sessions:
          type: integer
          minimum: 0
      additionalProperties: false
    Space:
      type: object
      required:
      - created
      - generation
      - id
      - name
      - parent
      - quotas
      - usage
      properties:
        id:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        name:
          type: string
        created:
          type: string
          format: date-time
        generation:
          type: integer
          minimum: 0
          description: The newest; 0 before anything was learned.
        parent:
          $ref: '#/components/schemas/SpaceOrigin'
        quotas:
          $ref: '#/components/schemas/SpaceQuotas'
        usage:
          $ref: '#/components/schemas/SpaceUsage'
      additionalProperties: false
    SnapshotRequest:
      type: object
      required:
      - name
      properties:
        name:
          type: string
          description: 'Unique within the space. 1 to 128 characters of A-Z, a-z, 0-9 and . _ - :, not beginning with auto-'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        space:
          type:
          - string
          - 'null'
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        note:
          type:
          - string
          - 'null'
          description: At most 4096 bytes.
      additionalProperties: false
    Snapshot:
      type: object
      required:
      - bytes
      - created
      - event
      - generation
      - id
      - name
      - note
      - origin
      - space
      properties:
        id:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        space:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        name:
          type: string
        note:
          type:
          - string
          - 'null'
        created:
          type: string
          format: date-time
        origin:
          type: string
          description: 'Who made it: a request, --snapshot-every, or an imported file.'
          enum:
          - request
          - policy
          - file
        generation:
          type: integer
          minimum: 0
        event:
          type:
          - integer
          - 'null'
          description: The last event of the log it contains; null where it came from a file.
          minimum: 0
        bytes:
          type: integer
          minimum: 0
          description: Of its tensors, shared with whatever else has them.
      additionalProperties: false
    SnapshotCounts:
      type: object
      required:
      - delta_norm
      - tokens_read
      - updates
      properties:
        updates:
          type: integer
          minimum: 0
        tokens_read:
          type: integer
          minimum: 0
        delta_norm:
          type: number
          minimum: 0
      additionalProperties: false
    TensorChange:
      type: object
      required:
      - distance
      - name
      - relative
      properties:
        name:
          type: string
        distance:
          type: number
          minimum: 0
        relative:
          type: number
          minimum: 0
      additionalProperties: false
    LevelDiff:
      type: object
      required:
      - distance
      - moved
      - name
      - other
      - relative
      - snapshot
      properties:
        name:
          type: string
        distance:
          type: number
          minimum: 0
          description: ‖Δθ_a − Δθ_b‖ over the level's tensors.
        relative:
          type: number
          minimum: 0
          description: That over the norm of the base's same tensors.
        snapshot:
          $ref: '#/components/schemas/SnapshotCounts'
        other:
          $ref: '#/components/schemas/SnapshotCounts'
        moved:
          type: array
          maxItems: 10
          items:
            $ref: '#/components/schemas/TensorChange'
          description: 'The tensors that moved most, most first.'
      additionalProperties: false
    SnapshotDiff:
      type: object
      required:
      - against
      - levels
      - snapshot
      - space
      properties:
        snapshot:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        space:
          type: string
          description: '1 to 128 characters of A-Z, a-z, 0-9 and . _ - :'
          pattern: ^[A-Za-z0-9._:-]{1,128}$
        against:
          type: string
        levels:
          type: array
          items:
            $ref: '#/components/schemas/LevelDiff'
      additionalProperties: false
    SpaceList:
      type: object
      required:
      - data
      - has_more
      - next
      - object
      properties:
        object:
          const: list
        data:
          type: array
          items:
            $ref: '#/components/schemas/Space'
        has_more:
          type: boolean
        next:
          type:
          - string
          - 'null'
          description: What to send as `after` for the next page.
      additionalProperties: false
    SnapshotList:
      type: object
      required:
      - data
      - has_more
      - next
      - object
      properties:
        object:
          const: list
        data:
          type: array
          items:
            $ref: '#/components/schemas/Snapshot'
        has_more:
          type: boolean
        next:
          type:
          - string
          - 'null'
          description: What to send as `after` for the next page.
      additionalProperties: false
  responses:
    Forgotten:
      description: The document was deleted; `receipt` says what has come of it.
      content:
        application/problem+json:
          schema:
            $ref: '#/components/schemas/Problem'
    BadRequest:
      description: Broken JSON, invalid UTF-8, an unknown field, or a value of the wrong type or range.
      content:
        application/problem+json:
          schema:
            $ref: '#/components/schemas/Problem'
          example:
            type: urn:nlserver:error:invalid_value
            title: Invalid value
            status: 400
            detail: '''temperature'' must be from 0.0 to 2.0, got 3.0.'
            instance: /v1/sessions
            code: invalid_value
            request_id: 77df4fa9-2ffe-4626-881e-859be2b80d62
            parameter: temperature
    OpenAIBadRequest:
      description: Broken JSON, invalid UTF-8, an unknown field, or a value of the wrong type or range.
      content:
        application/json:
          schema:
            $ref: '#/components/schemas/OpenAIError'
          example:
            error:
              message: '''temperature'' must be from 0.0 to 2.0, got 3.0.'
              type: invalid_request_error
              param: temperature
              code: invalid_value
    Forbidden:
      description: The daemon runs with --read-only, a quota of the space is used up, or a page of another origin asked.
      content:
        application/problem+json:
          schema:
            $ref: '#/components/schemas/Problem'
          example:
            type: urn:nlserver:error:read_only
            title: Read only
            status: 403
            detail: 'Cannot create a session: the daemon runs with --read-only, which keeps the database as it is.'
            instance: /v1/sessions
            code: read_only
            request_id: 77df4fa9-2ffe-4626-881e-859be2b80d62
    OpenAIForbidden:
      description: The daemon runs with --read-only, a quota of the space is used up, or a page of another origin asked.
      content:
        application/json:
          schema:
            $ref: '#/components/schemas/OpenAIError'
          example:
            error:
              message: 'Cannot create a session: the daemon runs with --read-only, which keeps the database as it
                is.'
              type: permission_error
              param: null
              code: read_only
    NotFound:
      description: No such thing, or no such route.
      content:
        application/problem+json:
          schema:
            $ref: '#/components/schemas/Problem'
          example:
            type: urn:nlserver:error:session_not_found
            title: Session not found
            status: 404
            detail: There is no session 'ses_9'. GET /v1/sessions lists them; POST /v1/sessions makes one.
            instance: /v1/sessions
            code: session_not_found
            request_id: 77df4fa9-2ffe-4626-881e-859be2b80d62
            parameter: session
    OpenAINotFound:
      description: No such thing, or no such route.
      content:
        application/json:
          schema:
            $ref: '#/components/schemas/OpenAIError'
          example:
            error:
              message: There is no session 'ses_9'. GET /v1/sessions lists them; POST /v1/sessions makes one.
              type: not_found_error
              param: session
              code: session_not_found
    MethodNotAllowed:
      description: The path does not answer to this method.
      headers:
        Allow:
          description: The methods it answers to.
          schema:
            type: string
      content:
        application/problem+json:
          schema:
            $ref: '#/components/schemas/Problem'
          example:
            type: urn:nlserver:error:method_not_allowed
            title: Method not allowed
            status: 405
            detail: /v1/jobs does not answer to PUT.
            instance: /v1/sessions
            code: method_not_allowed
            request_id: 77df4fa9-2ffe-4626-881e-859be2b80d62
    OpenAIMethodNotAllowed:
      description: The path does not answer to this method.
      headers:
        Allow:
          description: The methods it answers to.
          schema:
            type: string
      content:
        application/json:
          schema:
            $ref: '#/components/schemas/OpenAIError'
          example:
            error:
              message: /v1/jobs does not answer to PUT.
              type: invalid_request_error
              param: null
              code: method_not_allowed
    Conflict:
      description: The request contradicts what is already there.
      content:
        application/problem+json:
          schema:
            $ref: '#/components/schemas/Problem'
          example:
            type: urn:nlserver:error:session_in_use
            title: Session in use
            status: 409
            detail: Session 'ses_9' is being read by another request. Wait for it to end, or fork the session.
            instance: /v1/sessions
            code: session_in_use
            request_id: 77df4fa9-2ffe-4626-881e-859be2b80d62
            parameter: session
    OpenAIConflict:
      description: The request contradicts what is already there.
      content:
        application/json:
          schema:
            $ref: '#/components/schemas/OpenAIError'
          example:
            error:
              message: Session 'ses_9' is being read by another request. Wait for it to end, or fork the session.
              type: invalid_request_error
              param: session
              code: session_in_use
    TooLarge:
      description: More than the daemon is configured to take.
      content:
        application/problem+json:
          schema:
            $ref: '#/components/schemas/Problem'
          example:
            type: urn:nlserver:error:too_large
            title: Too large
            status: 413
            detail: The body may have at most 8388608 bytes.
            instance: /v1/sessions
            code: too_large
            request_id: 77df4fa9-2ffe-4626-881e-859be2b80d62
    OpenAITooLarge:
      description: More than the daemon is configured to take.
      content:
        application/json:
          schema:
            $ref: '#/components/schemas/OpenAIError'
          example:
            error:
              message: The body may have at most 8388608 bytes.
              type: invalid_request_error
              param: null
              code: too_large
    UnsupportedMediaType:
      description: A content type that the route does not read.
      content:
        application/problem+json:
          schema:
            $ref: '#/components/schemas/Problem'
          example:
            type: urn:nlserver:error:unsupported_media_type
            title: Unsupported media type
            status: 415
            detail: Content-Type 'application/x-www-form-urlencoded' is not read here.
            instance: /v1/sessions
            code: unsupported_media_type
            request_id: 77df4fa9-2ffe-4626-881e-859be2b80d62
            parameter: Content-Type
    OpenAIUnsupportedMediaType:
      description: A content type that the route does not read.
      content:
        application/json:
          schema:
            $ref: '#/components/schemas/OpenAIError'
          example:
            error:
              message: Content-Type 'application/x-www-form-urlencoded' is not read here.
              type: invalid_request_error
              param: Content-Type
              code: unsupported_media_type
    TooManyRequests:
      description: A bounded queue is full.
      headers:
        Retry-After:
          description: Seconds.
          schema:
            type: integer
            minimum: 1
      content:
        application/problem+json:
          schema:
            $ref: '#/components/schemas/Problem'
          example:
            type: urn:nlserver:error:overloaded
            title: Overloaded
            status: 429
            detail: The generation queue is full. Try again after the seconds in Retry-After.
            instance: /v1/sessions
            code: overloaded
            request_id: 77df4fa9-2ffe-4626-881e-859be2b80d62
            retry_after_seconds: 2
    OpenAITooManyRequests:
      description: A bounded queue is full.
      headers:
        Retry-After:
          description: Seconds.
          schema:
            type: integer
            minimum: 1
      content:
        application/json:
          schema:
            $ref: '#/components/schemas/OpenAIError'
          example:
            error:
              message: The generation queue is full. Try again after the seconds in Retry-After.
              type: rate_limit_error
              param: null
              code: overloaded
    InternalError:
      description: The request failed inside the daemon.
      content:
        application/problem+json:
          schema:
            $ref: '#/components/schemas/Problem'
          example:
            type: urn:nlserver:error:internal_error
            title: Internal error
            status: 500
            detail: The request failed inside the daemon; its log says why, under this request's id.
            instance: /v1/sessions
            code: internal_error
            request_id: 77df4fa9-2ffe-4626-881e-859be2b80d62
    OpenAIInternalError:
      description: The request failed inside the daemon.
      content:
        application/json:
          schema:
            $ref: '#/components/schemas/OpenAIError'
          example:
            error:
              message: The request failed inside the daemon; its log says why, under this request's id.
              type: server_error
              param: null
              code: internal_error
    Unavailable:
      description: Loading, shutting down, or cut off by it.
      headers:
        Retry-After:
          description: Seconds.
          schema:
            type: integer
            minimum: 1
      content:
        application/problem+json:
          schema:
            $ref: '#/components/schemas/Problem'
          example:
            type: urn:nlserver:error:unavailable
            title: Unavailable
            status: 503
            detail: The daemon is shutting down.
            instance: /v1/sessions
            code: unavailable
            request_id: 77df4fa9-2ffe-4626-881e-859be2b80d62
            retry_after_seconds: 2
    OpenAIUnavailable:
      description: Loading, shutting down, or cut off by it.
      headers:
        Retry-After:
          description: Seconds.
          schema:
            type: integer
            minimum: 1
      content:
        application/json:
          schema:
            $ref: '#/components/schemas/OpenAIError'
          example:
            error:
              message: The daemon is shutting down.
              type: unavailable_error
              param: null
              code: unavailable
    DiskFull:
      description: No space left; nothing was written.
      content:
        application/problem+json:
          schema:
            $ref: '#/components/schemas/Problem'
          example:
            type: urn:nlserver:error:disk_full
            title: Disk full
            status: 507
            detail: 'The database cannot grow: no space left on device.'
            instance: /v1/sessions
            code: disk_full
            request_id: 77df4fa9-2ffe-4626-881e-859be2b80d62
    OpenAIDiskFull:
      description: No space left; nothing was written.
      content:
        application/json:
          schema:
            $ref: '#/components/schemas/OpenAIError'
          example:
            error:
              message: 'The database cannot grow: no space left on device.'
              type: server_error
              param: null
              code: disk_full
    NotAcceptable:
      description: A stream of documents cannot be followed as events.
      content:
        application/problem+json:
          schema:
            $ref: '#/components/schemas/Problem'
"""### + "\n"
}
