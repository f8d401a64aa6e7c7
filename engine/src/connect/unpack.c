/* How far a batch of records may be unpacked.
 *
 * librdkafka 2.12 unpacks gzip and lz4 without any limit, and gives a batch that it cannot unpack to nobody: it asks for the same one
 * for ever. The linker puts these functions in the place of its own (build.rs, `--wrap`). They unpack at most LIMIT bytes; a batch
 * that would come to more, or that is damaged, becomes one record with the header UNREADABLE at the batch's first offset, and librdkafka
 * goes on behind the batch's last offset, which it has from the batch's own head.
 *
 * The value of the header is "CODEC BYTES LAST": the codec, the batch's packed bytes, and its last offset less its first. */
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* As `receive.message.max.bytes`, which bounds zstd (run/kafka). */
#define LIMIT (64u << 20)
#define UNREADABLE "foreshock.unreadable"

/* Bytes of a batch's head, format 2, before its records (Kafka's protocol guide, "Record Batch"). */
#define HEAD 61

static uint32_t be32(const unsigned char *at) {
        return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | (uint32_t)at[3];
}

/* A number as records have it: zigzag, seven bits a byte. */
static unsigned char *put(unsigned char *to, int32_t number) {
        uint32_t rest = (uint32_t)number << 1 ^ (number < 0 ? UINT32_MAX : 0);
        for (; rest > 127; rest >>= 7)
                *to++ = (unsigned char)(rest | 128);
        *to++ = (unsigned char)rest;
        return to;
}

static unsigned char *put_text(unsigned char *to, const char *text) {
        size_t length = strlen(text);
        to = put(to, (int32_t)length);
        memcpy(to, text, length);
        return to + length;
}

/* The record that stands for a batch whose packed records are these; NULL for a batch of an older format.
 *
 * The head lies before the records: librdkafka read it from there just now, out of one piece of memory that holds the whole answer of
 * the broker. What stands before the first batch in that answer is longer than the head is. */
static void *unreadable(const void *packed, size_t size, const char *codec, size_t *length) {
        const unsigned char *head = (const unsigned char *)packed - HEAD;
        unsigned char body[256], *to = body, *record;
        char value[64];

        if (head[16] != 2 || be32(head + 8) != size + HEAD - 12)
                return NULL;
        snprintf(value, sizeof(value), "%s %zu %u", codec, size, be32(head + 23));
        *to++ = 0;         /* attributes */
        to = put(to, 0);   /* time after the batch's */
        to = put(to, 0);   /* offset after the batch's */
        to = put(to, -1);  /* no key */
        to = put(to, 0);   /* an empty value */
        to = put(to, 1);   /* headers */
        to = put_text(to, UNREADABLE);
        to = put_text(to, value);
        if (!(record = malloc(sizeof(body) + 8)))
                return NULL;
        *length = (size_t)(put(record, (int32_t)(to - body)) - record);
        memcpy(record + *length, body, (size_t)(to - body));
        *length += (size_t)(to - body);
        return record;
}

/* Unpacks gzip; NULL when it is damaged or comes to more than LIMIT. */
static unsigned char *inflated(const void *packed, size_t size, size_t *length) {
        z_stream stream = {0};
        size_t room = size < LIMIT / 8 ? size * 4 + 4096 : LIMIT;
        unsigned char *to = malloc(room + 1), *more;
        int state;

        if (!to || inflateInit2(&stream, 15 + 32) != Z_OK) {
                free(to);
                return NULL;
        }
        stream.next_in  = (unsigned char *)packed;
        stream.avail_in = (uInt)size;
        for (;;) {
                stream.next_out  = to + stream.total_out;
                stream.avail_out = (uInt)(room - stream.total_out);
                state            = inflate(&stream, Z_NO_FLUSH);
                if (state != Z_OK || stream.avail_out > 0 || room >= LIMIT)
                        break;
                room = room * 2 < LIMIT ? room * 2 : LIMIT;
                if (!(more = realloc(to, room + 1))) {
                        state = Z_MEM_ERROR;
                        break;
                }
                to = more;
        }
        *length = stream.total_out;
        inflateEnd(&stream);
        if (state != Z_STREAM_END) {
                free(to);
                return NULL;
        }
        to[*length] = 0;
        return to;
}

void *__wrap_rd_gz_decompress(const void *packed, int size, uint64_t *length) {
        size_t own  = 0;
        void *plain = size < 0 ? NULL : inflated(packed, (size_t)size, &own);
        if (!plain && size >= 0)
                plain = unreadable(packed, (size_t)size, "gzip", &own);
        *length = own;
        return plain;
}

/* Of librdkafka's lz4 (lz4frame.h, stable). */
typedef struct LZ4F_dctx_s LZ4F_dctx;
unsigned LZ4F_isError(size_t code);
size_t LZ4F_createDecompressionContext(LZ4F_dctx **context, unsigned version);
size_t LZ4F_freeDecompressionContext(LZ4F_dctx *context);
size_t LZ4F_decompress(LZ4F_dctx *context, void *to, size_t *room, const void *from, size_t *size, const void *options);
#define LZ4F_VERSION 100
/* What lz4 can come to at most, as a multiple of its size. */
#define LZ4_RATIO 255

/* Whether lz4 comes to no more than LIMIT. What is damaged does: its reader says so. */
static int lz4_is_bounded(const char *packed, size_t size) {
        LZ4F_dctx *context;
        size_t at = 0, all = 0, piece = 1 << 16, room, taken, left = 1;
        char *to;

        if (size <= LIMIT / LZ4_RATIO)
                return 1;
        if (!(to = malloc(piece)))
                return 0;
        if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION))) {
                free(to);
                return 0;
        }
        while (left && !LZ4F_isError(left) && all <= LIMIT) {
                room  = piece;
                taken = size - at;
                left  = LZ4F_decompress(context, to, &room, packed + at, &taken, NULL);
                if (!room && !taken)
                        break;
                all += room;
                at += taken;
        }
        LZ4F_freeDecompressionContext(context);
        free(to);
        return all <= LIMIT;
}

/* `rd_kafka_resp_err_t` of "no error". */
#define FINE 0

int __real_rd_kafka_lz4_decompress(void *broker, int is_framed, int64_t offset, char *packed, size_t size, void **plain, size_t *length);

int __wrap_rd_kafka_lz4_decompress(void *broker, int is_framed, int64_t offset, char *packed, size_t size, void **plain, size_t *length) {
        int error = -1;
        if (lz4_is_bounded(packed, size))
                error = __real_rd_kafka_lz4_decompress(broker, is_framed, offset, packed, size, plain, length);
        if (error == FINE)
                return error;
        *plain = unreadable(packed, size, "lz4", length);
        return *plain ? FINE : -198; /* RD_KAFKA_RESP_ERR__BAD_COMPRESSION */
}

/* Bytes of the frame that snappy has in Java, before its first chunk. */
#define JAVA_HEAD 16

char *__real_rd_kafka_snappy_java_uncompress(const char *packed, size_t size, size_t *length, char *why, size_t room);

char *__wrap_rd_kafka_snappy_java_uncompress(const char *packed, size_t size, size_t *length, char *why, size_t room) {
        char *plain = __real_rd_kafka_snappy_java_uncompress(packed, size, length, why, room);
        return plain ? plain : unreadable(packed - JAVA_HEAD, size + JAVA_HEAD, "snappy", length);
}

/* Without that frame librdkafka asks for the length, makes room, and unpacks. All is done when it asks for the length; what came of it
 * waits until there is room. */
static __thread char *waiting;
static __thread size_t waiting_length;

_Bool __real_rd_kafka_snappy_uncompressed_length(const char *packed, size_t size, size_t *length);
int __real_rd_kafka_snappy_uncompress(const char *packed, size_t size, char *plain);

_Bool __wrap_rd_kafka_snappy_uncompressed_length(const char *packed, size_t size, size_t *length) {
        free(waiting);
        waiting = NULL;
        if (__real_rd_kafka_snappy_uncompressed_length(packed, size, &waiting_length) && waiting_length <= LIMIT)
                waiting = malloc(waiting_length + 1);
        if (waiting && __real_rd_kafka_snappy_uncompress(packed, size, waiting)) {
                free(waiting);
                waiting = NULL;
        }
        if (!waiting)
                waiting = unreadable(packed, size, "snappy", &waiting_length);
        *length = waiting_length;
        return waiting != NULL;
}

int __wrap_rd_kafka_snappy_uncompress(const char *packed, size_t size, char *plain) {
        if (!waiting)
                return __real_rd_kafka_snappy_uncompress(packed, size, plain);
        memcpy(plain, waiting, waiting_length);
        free(waiting);
        waiting = NULL;
        return 0;
}

int __real_rd_kafka_zstd_decompress(void *broker, char *packed, size_t size, void **plain, size_t *length);

int __wrap_rd_kafka_zstd_decompress(void *broker, char *packed, size_t size, void **plain, size_t *length) {
        int error = __real_rd_kafka_zstd_decompress(broker, packed, size, plain, length);
        if (error == FINE)
                return error;
        *plain = unreadable(packed, size, "zstd", length);
        return *plain ? FINE : error;
}
