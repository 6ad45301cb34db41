/*
 * hmtnet.h - recognise gender, race and attractiveness in face portraits with one multi-task
 * network.
 *
 * The network is HMTNet: L. Xu, H. Fan, J. Xiang, "Hierarchical Multi-Task Network for Race, Gender
 * and Facial Attractiveness Recognition", ICIP 2019 ("the paper" below). This header reads from the
 * simplest use to the expert one:
 *
 *     1  Simple use          open a model file, predict a photo, close
 *     2  Version and errors
 *     3  Contexts            backend, device, threads, memory, hooks
 *     4  Images              decode, resize, crop, normalise
 *     5  Models              create, load, save, parameters
 *     6  Sessions            inference, taps, gradients, profile
 *     7  Trainers            training steps, evaluation, schedules
 *     8  Backends            enumerate; write your own with <hmtnet/backend.h>
 *
 * Conventions that hold everywhere:
 * - Every call that can fail returns hmt_status: HMT_OK (0) or a negative code. hmt_last_error()
 * then gives one sentence, kept per thread until that thread's next call into the library.
 * - Arguments, option structs and the structs that receive results are checked before anything is
 * done: a call that refuses one with HMT_ERROR_ARGUMENT has changed nothing.
 * - Output parameters are written on success only, unless their comment says otherwise. Predictions
 * are always written, each with its own status: a call over many images goes on after one that has
 * no answer, and returns the first such image's status, with its number in the message. If the call
 * itself fails or is cancelled, the images that it did not reach have that status.
 * - An option struct begins with struct_size. Set it up with its HMT_..._INIT and change what you
 * need; NULL options mean the defaults. Fields may be added at the end of such a struct in a later
 * version; a struct_size that ends in the middle of a field is HMT_ERROR_ARGUMENT.
 * - hmt_x_free(NULL) does nothing. A parent object may be freed before its children: it lives on
 * until the last of them is gone.
 * - The library never prints, exits, aborts, changes signal handlers, the locale or the
 * floating-point mode. What it computes is computed in the default mode; the caller's is restored.
 * - Tensors are dense float32 in N,C,H,W order unless a comment says otherwise. Strings are UTF-8,
 * file names are passed to the system as they are.
 * - An answer depends on its photo alone: the bits of a prediction, logit, tap or gradient depend
 * on that row of the input, the model, the session's options, the number of threads and the
 * machine; not on the other images of the call or batch, the row's place among them, or what ran
 * before, even if those hold infinities or NaN. hmt_evaluate()'s predictions keep this, too.
 * - Thread safety: distinct objects may be used on distinct threads at the same time. A context and
 * a model may be shared by many threads that only read them (every function that takes them as
 * const, and the creation of sessions); one session or trainer is for one thread at a time.
 */
#ifndef HMTNET_HMTNET_H
#define HMTNET_HMTNET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Hosts that are linked with libhmtnet.a define HMT_STATIC (pkg-config --static and CMake's target
 * do): calls are direct then, and a shared library that holds the archive does not export it. */
#if defined(__GNUC__) && defined(HMT_STATIC)
#define HMT_API __attribute__((visibility("hidden")))
#elif defined(__GNUC__)
#define HMT_API __attribute__((visibility("default")))
#else
#define HMT_API
#endif

/** The version of this header. The build reads these three lines. */
#define HMT_VERSION_MAJOR 0
#define HMT_VERSION_MINOR 2
#define HMT_VERSION_PATCH 0

/** Opaque handles. Each is made by its _create, _load or _open function and released by its _free.
 */
typedef struct hmt_context hmt_context;
typedef struct hmt_model hmt_model;
typedef struct hmt_session hmt_session;
typedef struct hmt_trainer hmt_trainer;

/** What a call came to. New codes may be added: treat any negative value as a failure. */
typedef enum hmt_status {
    HMT_OK = 0,
    HMT_ERROR_ARGUMENT = -1, /**< an argument is NULL, out of range or does not fit the object */
    HMT_ERROR_MEMORY = -2,   /**< an allocation failed */
    HMT_ERROR_IO = -3,       /**< the system could not open, read, write, sync or rename a file */
    HMT_ERROR_FORMAT = -4,   /**< a file or buffer is damaged, truncated or contradicts itself */
    HMT_ERROR_LIMIT = -5,    /**< an input is larger than a stated limit allows */
    HMT_ERROR_UNSUPPORTED = -6, /**< valid, but this build, backend or network cannot do it */
    HMT_ERROR_STATE = -7,       /**< the object is not in a state that allows this call */
    HMT_ERROR_NOT_FOUND = -8,   /**< no such file, parameter, tap, backend or device */
    HMT_ERROR_BACKEND = -9,     /**< the compute library underneath reported a failure */
    HMT_ERROR_NONFINITE = -10,  /**< an image, parameter, answer or loss is infinite or NaN */
    HMT_ERROR_CANCELLED = -11   /**< the progress callback asked to stop */
} hmt_status;

/* ------------------------------------------------------------------------------------------------------
 * 1  Simple use
 *
 *     hmt_session *faces;
 *     hmt_prediction who;
 *     if (hmt_open("hmtnet.safetensors", &faces) == HMT_OK &&
 *         hmt_predict_file(faces, "portrait.jpg", &who) == HMT_OK)
 *         printf("%s, %s, %.2f\n", who.gender.name, who.race.name, who.score);
 *     hmt_session_free(faces);
 * ------------------------------------------------------------------------------------------------------
 */

/** The tasks a network can solve, also the index of per-task arrays. */
typedef enum hmt_task {
    HMT_TASK_GENDER = 0,         /**< classification: GNet */
    HMT_TASK_RACE = 1,           /**< classification: RNet */
    HMT_TASK_ATTRACTIVENESS = 2, /**< regression: ANet */
    HMT_TASK_COUNT = 3
} hmt_task;

/** Bits for sets of tasks. */
#define HMT_TASKS_GENDER 1u
#define HMT_TASKS_RACE 2u
#define HMT_TASKS_ATTRACTIVENESS 4u
#define HMT_TASKS_ALL 7u

/** The largest number of classes a classification head may have. */
#define HMT_MAX_CLASSES 32
/** The longest class name in bytes, with its terminating zero. */
#define HMT_MAX_LABEL 32

/** What a classification head says of one face. */
typedef struct hmt_class_prediction {
    int32_t label;       /**< index of the most probable class; -1 if the head was not run */
    int32_t class_count; /**< how many entries of probabilities are set; 0 if not run */
    const char *name;    /**< that class's name; lives as long as the model; "" if not run */
    float probabilities[HMT_MAX_CLASSES]; /**< softmax of the logits; entries from class_count on
                                             are 0 */
} hmt_class_prediction;

/** What the network says of one face. */
typedef struct hmt_prediction {
    uint32_t tasks; /**< which heads were run, HMT_TASKS_... bits */
    float score;    /**< attractiveness, in the units of the training labels; 0 if not run */
    hmt_class_prediction gender; /**< GNet's answer */
    hmt_class_prediction race;   /**< RNet's answer */
    hmt_status status; /**< HMT_OK, or why there is no answer: then no head was run, score is 0 and
                          labels are -1. Each image of a call has its own */
    uint32_t reserved[13]; /**< zero; room for later versions */
} hmt_prediction;

/**
 * Opens a model file for inference, one image at a time, on the CPU with all cores.
 * @param path     a model that hmt_model_save() wrote (.safetensors)
 * @param session  receives the session; release it with hmt_session_free()
 * @return HMT_ERROR_IO, _NOT_FOUND, _FORMAT, _UNSUPPORTED, _LIMIT, _NONFINITE (see
 * hmt_model_load()), _MEMORY, _BACKEND; _ARGUMENT if a pointer is NULL
 * The file is copied into memory: what happens to it afterwards does not matter. The same as
 * hmt_model_load() and hmt_session_create() with default options.
 */
HMT_API hmt_status hmt_open(const char *path, hmt_session **session);

/**
 * Predicts one JPEG or PNG file: decode, shorter side to 256, centre crop 224, normalise (paper,
 * section 4.2), infer. With the session option five_crop the mean over five crops; its option
 * decode says how large a photo may be.
 * @return HMT_ERROR_NOT_FOUND or _IO (file), _FORMAT, _LIMIT, _UNSUPPORTED (image), _ARGUMENT,
 * _STATE (see hmt_session_create), _MEMORY, _BACKEND, _CANCELLED
 */
HMT_API hmt_status hmt_predict_file(hmt_session *session, const char *path,
                                    hmt_prediction *prediction);

/** Releases a session made by hmt_open() or hmt_session_create(). NULL is allowed. */
HMT_API void hmt_session_free(hmt_session *session);

/* ------------------------------------------------------------------------------------------------------
 * 2  Version and errors
 * ------------------------------------------------------------------------------------------------------
 */

/** The version of the library that is running, "MAJOR.MINOR.PATCH". Static storage. */
HMT_API const char *hmt_version(void);

/** The same as a number, major * 1000000 + minor * 1000 + patch, to compare with
 * HMT_VERSION_NUMBER. */
HMT_API uint32_t hmt_version_number(void);
#define HMT_VERSION_NUMBER                                                                         \
    ((uint32_t)HMT_VERSION_MAJOR * 1000000u + (uint32_t)HMT_VERSION_MINOR * 1000u +                \
     (uint32_t)HMT_VERSION_PATCH)

/** A status code's name, e.g. "HMT_ERROR_FORMAT"; "unknown status" for others. Static storage. */
HMT_API const char *hmt_status_name(hmt_status status);

/**
 * One line that says what went wrong in this thread's last failed call, and where: at most 511
 * bytes, long paths and names shortened in their middle. "" after a success. The string belongs to
 * the thread and lasts until its next call into the library. Never NULL.
 */
HMT_API const char *hmt_last_error(void);

/* ------------------------------------------------------------------------------------------------------
 * 3  Contexts
 * ------------------------------------------------------------------------------------------------------
 */

/**
 * Where the library takes its memory from. Both functions may be called from several threads at
 * once. allocate returns `size` bytes aligned to `alignment` (a power of two, at least sizeof(void
 * *)), or NULL. release takes what allocate gave, never NULL. Image codecs, oneDNN and the system's
 * loader of modules keep some memory of their own.
 */
typedef struct hmt_allocator {
    void *(*allocate)(void *user, size_t size, size_t alignment);
    void (*release)(void *user, void *pointer);
    void *user;
} hmt_allocator;

typedef enum hmt_log_level {
    HMT_LOG_ERROR = 0,
    HMT_LOG_WARNING = 1,
    HMT_LOG_INFO = 2,
    HMT_LOG_DEBUG = 3
} hmt_log_level;

/**
 * Receives log lines without a newline; may be called from any thread that uses the context, and
 * from a loader's. Like an allocator it must not call the library, but for hmt_last_error().
 */
typedef void (*hmt_log_fn)(void *user, hmt_log_level level, const char *message);

/**
 * Told between the parts of a long call; returns 0 to go on, anything else to cancel, upon which
 * the call returns HMT_ERROR_CANCELLED with nothing changed: a file being saved stays as it was, a
 * training step has not touched a parameter. `what` is "load", "save", "prepare", "decode", "infer"
 * or "train".
 *
 * It is called on the thread that made the call, never on a loader's workers, and may use the
 * library, whose calls there do not touch the message of the call around them. The session or
 * trainer of that call is busy: what computes with it, saves or resumes it gives HMT_ERROR_STATE.
 * No object of that call may be freed.
 *
 * C++ exceptions should stay inside: catch them, return non-zero, and throw again when the call has
 * returned. One that leaves the callback from hmt_infer(), hmt_infer_crops(), hmt_predict_pixels()
 * or hmt_train_step() passes through as if the host had cancelled, and session and trainer can be
 * used again. From other calls it passes, too, but what they had allocated stays allocated, and a
 * file being saved may leave a temporary one. Allocators, logs and a host's own backend must not
 * throw.
 */
typedef int (*hmt_progress_fn)(void *user, const char *what, uint64_t done, uint64_t total);

/** What a backend may compute in. Parameters, gradients and sums are float32 with each. */
typedef enum hmt_precision {
    HMT_PRECISION_AUTO =
        0, /**< the backend's choice: float32 on a CPU, TF32 on a GPU that has it */
    HMT_PRECISION_FLOAT32 = 1, /**< IEEE float32 throughout */
    HMT_PRECISION_TF32 = 2,    /**< factors of products rounded to 11 bits of mantissa */
    HMT_PRECISION_BFLOAT16 =
        3 /**< activations and factors in bfloat16, master weights in float32 */
} hmt_precision;

/**
 * A host's own pool of threads, to compute with in place of the library's. Sessions and trainers of
 * a context, or of several, may share one.
 */
typedef struct hmt_executor {
    /** Calls task(task_user, i) once for each i from 0 to count - 1, on any of the pool's threads,
     * the caller's too, and returns when all have returned. The tasks of a call work together: they
     * should run at once. Those that have not begun within a millisecond find their work taken over
     * by the others and return, so that a busy or sequential pool is slower, but never a deadlock.
     * Called from several threads at once if several sessions run. Threads need 64 KiB of stack. A
     * task does not call the host but for log. */
    void (*run)(void *user, int32_t count, void (*task)(void *task_user, int32_t index),
                void *task_user);
    void *user;
} hmt_executor;

struct hmt_backend; /* <hmtnet/backend.h> */

typedef struct hmt_context_options {
    size_t struct_size;
    const char
        *backend;    /**< "onednn" or "reference", a name from backends below, or that of a module
                        (see hmt_context_create()), e.g. "cudnn"; NULL: the best of those here */
    int32_t device;  /**< index of the backend's device; 0 is the first */
    int32_t threads; /**< threads to compute with; 0: one for each core this process may use, by
                        its affinity mask and its control groups' CPU quota, rounded up. A
                        session or trainer on the CPU has threads of its own, all but the caller's,
                        with all signals blocked, until it is freed; they soon sleep while they
                        wait. OpenMP is not used: a host's parallel regions, settings and limits
                        of it change nothing. A process made by fork() computes with 1 thread in
                        the sessions and trainers that it inherits */
    hmt_allocator allocator;  /**< all zero: malloc's */
    hmt_log_fn log;           /**< NULL: nothing is logged */
    void *log_user;           /**< handed to log */
    hmt_progress_fn progress; /**< NULL: no progress, no cancelling */
    void *progress_user;      /**< handed to progress */
    const struct hmt_backend *const
        *backends;           /**< the host's own backends, tried before the built-in ones by
                                  name; they must outlive the context */
    size_t backend_count;    /**< how many of them */
    hmt_precision precision; /**< to compute in; a backend that cannot is HMT_ERROR_UNSUPPORTED */
    const char *module_path; /**< where a backend's module is looked for first: its file, or the
                                folder it is in; only read during the call. NULL: nowhere */
    int32_t list_modules;    /**< non-zero: every module that is found is loaded, and listed by
                                hmt_backend_count(); those that cannot be are logged */
    int32_t reserved;        /**< 0; room for a later version */
    hmt_executor executor;   /**< run NULL: threads of the library's own. Else `threads` is how many
                                tasks a run is cut into, and backends on the CPU start no thread;
                                a loader's workers stay its own */
} hmt_context_options;
#define HMT_CONTEXT_OPTIONS_INIT                                                                   \
    {                                                                                              \
        sizeof(hmt_context_options), NULL, 0, 0, {NULL, NULL, NULL}, NULL, NULL, NULL, NULL, NULL, \
            0, HMT_PRECISION_AUTO, NULL, 0, 0,                                                     \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }

/**
 * Makes a context: an opened device and the hooks above. Functions that take a context accept NULL
 * for a private one with default options.
 * A backend that is neither among the host's own nor built in is a module, a shared library
 * libhmtnet_NAME.so, which is looked for in module_path, in the file or folder that the environment
 * variable HMT_BACKEND_PATH names (an absolute path; not in set-user-ID programs), beside
 * libhmtnet.so, wherever the process has gone since that was loaded, and in the
 * folder hmtnet there; a host that is linked with the static library has no such place. The first
 * file found is the one. Names of modules are lower-case letters, digits and underscores. A module
 * that was used stays loaded as long as the process lives, because compute libraries leave threads
 * and handlers behind that must find their code. Only names ask for modules: backend NULL chooses
 * among the host's own and the built-in ones. After a failure another context can be made, e.g.
 * with backend NULL to go on with the CPU.
 * The environment is read here and nowhere else, without a lock: HMT_BACKEND_PATH as above; for the
 * CPU, to measure with, HMT_CPU_LEVEL (plain, avx2, avx512 or avx512vnni: the instructions that are
 * used at most), HMT_CONV (im2col or winograd2 to winograd6: the convolutions wherever they are
 * possible) and HMT_PREFETCH (hardware or nontemporal: how weights are read for one photo); by the
 * module cudnn HMT_CUDNN_CANDIDATES (1 to 16: ways that are measured for each shape). Other values
 * are ignored.
 * @return HMT_ERROR_ARGUMENT, _NOT_FOUND (backend, module or device), _MEMORY, _BACKEND,
 * _UNSUPPORTED (a backend made for another version of the interface; a module that cannot be
 * loaded, e.g. for want of a library that it needs, or is none; a precision that the backend or
 * device does not have)
 */
HMT_API hmt_status hmt_context_create(const hmt_context_options *options, hmt_context **context);
HMT_API void hmt_context_free(hmt_context *context);

/* ------------------------------------------------------------------------------------------------------
 * 4  Images
 * ------------------------------------------------------------------------------------------------------
 */

typedef enum hmt_pixel_format {
    HMT_PIXEL_RGB = 0,  /**< 3 bytes a pixel */
    HMT_PIXEL_BGR = 1,  /**< 3 bytes a pixel */
    HMT_PIXEL_RGBA = 2, /**< 4 bytes a pixel, alpha not premultiplied; laid over white */
    HMT_PIXEL_BGRA = 3, /**< likewise */
    HMT_PIXEL_GRAY = 4  /**< 1 byte a pixel */
} hmt_pixel_format;

/** 8-bit pixels in the host's memory, sRGB as in the file, not changed by the library. */
typedef struct hmt_pixels {
    const uint8_t *data; /**< the top left pixel */
    int32_t width;       /**< in pixels, 1 to 65536 */
    int32_t height;      /**< in pixels, 1 to 65536 */
    int64_t stride; /**< bytes from one row to the next; 0: rows are dense; negative: bottom up */
    hmt_pixel_format format;
    int32_t reserved; /**< not read; 0 in what the library gives */
} hmt_pixels;

/** How photos are decoded, and what that may cost. 0 in any field means its default. */
typedef struct hmt_decode_options {
    size_t struct_size;
    uint64_t max_bytes;  /**< largest encoded file or buffer; default 64 MiB */
    uint64_t max_pixels; /**< largest width times height; default 100 million. A JPEG that comes in
                            several scans may have 32 components of them for each of these pixels
                            (a progressive photo has about 14 for each of its own), and at most 500
                            scans */
    int32_t min_side; /**< above 0: a JPEG may be scaled down in its decoder by 2, 4 or 8 as long as
                         its shorter side stays at least this; default 0, off */
    int32_t ignore_orientation; /**< non-zero: do not apply the orientation */
    uint64_t max_memory; /**< most bytes that the pixels, their upright copy and the coefficients of
                            several scans take at a time; a codec's own rows and tables, some MiB at
                            most, come on top. Default 12 for each of max_pixels, and 32 MiB */
    int32_t allow_truncated; /**< non-zero: a file that ends in the middle of its pixels is decoded
                                as far as it goes; what is missing is grey, and the context's log is
                                told. Default 0: it is HMT_ERROR_FORMAT. Damage stays an error */
    int32_t reserved;        /**< zero; room for later versions */
} hmt_decode_options;
#define HMT_DECODE_OPTIONS_INIT                                                                    \
    {                                                                                              \
        sizeof(hmt_decode_options), 0, 0, 0, 0, 0, 0, 0                                            \
    }

/**
 * Decodes a JPEG (baseline, extended or progressive with Huffman coding and 8 bits; grey, YCbCr,
 * RGB, CMYK, YCCK) or PNG (every type and depth) into upright RGB, with the pixels that Pillow
 * gives. The content decides which, not the file's name. Transparent pixels are laid over white;
 * colour profiles are not applied.
 *
 * The orientation is that of EXIF, else of XMP (tiff:Orientation); in a PNG EXIF may be the chunk
 * eXIf, which goes first, or a raw profile of ImageMagick. A file without its end marker, or with
 * anything after the last pixel, decodes as long as no pixel is missing; damage that changes pixels
 * is HMT_ERROR_FORMAT, also where libjpeg only warns. No side may be longer than 65536.
 *
 * The context's progress callback is told "decode" with pixels of work, on the thread that called,
 * first at 0 and then after about each million, and can cancel.
 * @param context  for its allocator and hooks; NULL: malloc's, and none
 * @param pixels   receives HMT_PIXEL_RGB pixels with dense rows; release them with
 * hmt_pixels_free() and the same context
 * @return HMT_ERROR_NOT_FOUND, _IO, _FORMAT (damaged or truncated), _UNSUPPORTED (another kind of
 * file, named), _LIMIT (which, in the message), _MEMORY, _ARGUMENT, _CANCELLED
 */
HMT_API hmt_status hmt_decode_file(const hmt_context *context, const char *path,
                                   const hmt_decode_options *options, hmt_pixels *pixels);
/** The same from `size` bytes of memory, which are only read during the call. */
HMT_API hmt_status hmt_decode_memory(const hmt_context *context, const void *data, size_t size,
                                     const hmt_decode_options *options, hmt_pixels *pixels);
/** Releases what hmt_decode_file() or hmt_decode_memory() gave, and sets it to zero. */
HMT_API void hmt_pixels_free(const hmt_context *context, hmt_pixels *pixels);

typedef enum hmt_crop {
    HMT_CROP_CENTER = 0, /**< one crop from the middle */
    HMT_CROP_FIVE = 1, /**< top left, top right, bottom left, bottom right, centre, in this order */
    HMT_CROP_RANDOM = 2 /**< one crop at a place drawn from seed */
} hmt_crop;

/** From pixels to the network's input (paper, section 4.2). Initialise with
 * HMT_PREPROCESS_OPTIONS_INIT. */
typedef struct hmt_preprocess_options {
    size_t struct_size;
    int32_t
        resize; /**< shorter side after the antialiased bilinear resize, pixels; at least crop */
    int32_t crop_size; /**< side of the square crop, pixels */
    hmt_crop crop;     /**< where it is taken */
    int32_t flip;  /**< 0: never; 1: always mirror; 2: mirror for every second seed on average */
    uint64_t seed; /**< for HMT_CROP_RANDOM and flip 2; the same seed gives the same tensor */
    float mean[3]; /**< per channel R,G,B, in units of 1 (level / 255) */
    float deviation[3]; /**< likewise; each above 0 */
} hmt_preprocess_options;
/** Shorter side 256, centre crop 224, ImageNet's mean and standard deviation. */
#define HMT_PREPROCESS_OPTIONS_INIT                                                                \
    {                                                                                              \
        sizeof(hmt_preprocess_options), 256, 224, HMT_CROP_CENTER, 0, 0, {0.485f, 0.456f, 0.406f}, \
        {                                                                                          \
            0.229f, 0.224f, 0.225f                                                                 \
        }                                                                                          \
    }

/**
 * Resizes, crops and normalises one image.
 * @param tensor  receives (1,3,crop_size,crop_size) floats, with HMT_CROP_FIVE
 * (5,3,crop_size,crop_size)
 * @param count   how many floats tensor has room for
 * @return HMT_ERROR_ARGUMENT, _MEMORY
 */
HMT_API hmt_status hmt_preprocess(const hmt_context *context, const hmt_pixels *pixels,
                                  const hmt_preprocess_options *options, float *tensor,
                                  size_t count);

/**
 * The same without the normalisation: 8-bit crops for hmt_infer_crops(), a quarter of the size.
 * @param options  mean and deviation count nothing
 * @param crops    receives (1,crop_size,crop_size,3) RGB levels, with HMT_CROP_FIVE
 * (5,crop_size,crop_size,3)
 * @param bytes    how many bytes crops has room for
 * @return HMT_ERROR_ARGUMENT, _MEMORY
 */
HMT_API hmt_status hmt_preprocess_crops(const hmt_context *context, const hmt_pixels *pixels,
                                        const hmt_preprocess_options *options, uint8_t *crops,
                                        size_t bytes);

/**
 * Resizes so that the shorter side has `shorter_side` pixels, as Pillow's antialiased BILINEAR
 * does.
 * @param resized  receives RGB pixels; release them with hmt_pixels_free()
 * @return HMT_ERROR_ARGUMENT, _LIMIT (the result would have more than 100 million pixels), _MEMORY
 */
HMT_API hmt_status hmt_resize(const hmt_context *context, const hmt_pixels *pixels,
                              int32_t shorter_side, hmt_pixels *resized);

/* ------------------------------------------------------------------------------------------------------
 * 5  Models
 * ------------------------------------------------------------------------------------------------------
 */

/** Which network. */
typedef enum hmt_network {
    HMT_NETWORK_HMTNET = 0 /**< the paper's network, all three heads */
} hmt_network;

/** Where RNet reads its input. */
typedef enum hmt_wiring {
    HMT_WIRING_RELEASED = 0, /**< aggregator 1, as in the code the authors published */
    HMT_WIRING_PAPER = 1     /**< relu5, as in the paper's figure 1 */
} hmt_wiring;

/** What aggregator 1 does with its inputs (paper, section 3.2 and its comparison in section 4.3).
 */
typedef enum hmt_aggregator {
    HMT_AGGREGATOR_AVERAGE = 0,    /**< (conv3 + relu3 + relu5) / 3 */
    HMT_AGGREGATOR_CONCATENATE = 1 /**< depth-wise: bn4, relu5 */
} hmt_aggregator;

/** Everything that defines a network but its parameters. It travels inside a model file. */
typedef struct hmt_model_config {
    size_t struct_size;
    hmt_network network;
    hmt_wiring wiring;
    hmt_aggregator aggregator;
    double width;           /**< multiplies every channel count; in (0, 4]; 1 is the paper's */
    int32_t gender_classes; /**< 2 .. HMT_MAX_CLASSES */
    int32_t race_classes;   /**< 2 .. HMT_MAX_CLASSES */
    char gender_labels[HMT_MAX_CLASSES][HMT_MAX_LABEL]; /**< class names, UTF-8 without control
                                                           characters; "" gets a default name */
    char race_labels[HMT_MAX_CLASSES][HMT_MAX_LABEL];   /**< likewise */
    float score_min;                                    /**< the labels' range; both 0: unknown */
    float score_max;
    float score_mean; /**< the score head's bias starts here */
    float mean[3]; /**< normalisation the network was trained with, as in hmt_preprocess_options */
    float deviation[3];
    int32_t resize;   /**< shorter side before the crop, pixels */
    uint32_t trained; /**< heads that labels were given for, HMT_TASKS_... bits: what the others say
                           means nothing. 0: not known, as in files of other programs. Training adds
                           to it unless it is 0; saved with the model */
    uint32_t reserved; /**< 0 */
} hmt_model_config;

/** Fills a config with the defaults: released wiring, average aggregator, width 1, 2 x 2 classes
 *  (female/male, asian/caucasian), scores 1..5 with mean 3, ImageNet normalisation, resize 256. */
HMT_API void hmt_model_config_init(hmt_model_config *config);

/**
 * Makes a model with fresh parameters: He initialisation (normal, fan in) for weights, 0 for
 * biases, 1 and 0 for batch norms, score_mean for the score head's bias.
 * @param seed  the same seed gives the same bits
 * @return HMT_ERROR_ARGUMENT (config), _MEMORY
 */
HMT_API hmt_status hmt_model_create(hmt_context *context, const hmt_model_config *config,
                                    uint64_t seed, hmt_model **model);

typedef struct hmt_load_options {
    size_t struct_size;
    const hmt_model_config
        *config; /**< for a file without a config of this library; NULL: width, classes and
                      aggregator are told from the shapes, the wiring taken as released */
    int32_t map; /**< non-zero: map the file in place of copying it. Memory is then shared with
                    other processes, and can be given back to the system, but the file must not be
                    shortened (which kills the process, SIGBUS) or overwritten in place (which
                    changes answers) while the model lives; replacing it by rename is safe */
    int32_t allow_nonfinite; /**< non-zero: values are not checked; the model then also takes any
                                from hmt_model_param_write(), hmt_model_import() and saves them */
    const char *state_dict; /**< the name of the state dict to take of a PyTorch checkpoint that has
                               several; NULL: see hmt_model_load(). Only read during the call */
} hmt_load_options;
#define HMT_LOAD_OPTIONS_INIT                                                                      \
    {                                                                                              \
        sizeof(hmt_load_options), NULL, 0, 0, NULL                                                 \
    }

/**
 * Loads a safetensors file or a PyTorch checkpoint (a state dict as torch.save() writes it), whose
 * content decides which, into memory of the model's own, with float32, float16, bfloat16 or float64
 * tensors under the released checkpoint's names. Memory asked for is bounded by the file's length.
 * A checkpoint's pickle is read as data: nothing that it names is imported or called, and one that
 * names other things than tensors is _UNSUPPORTED with that name. Its state dict may stand in it as
 * state_dict, model_state_dict or model; others beside it, such as an average, are told to the
 * context's log. A beginning of all names such as "module." is left out. Tensors that the network
 * does not have are left, and told to the log. What is often taken for a model, from a Git LFS
 * pointer to an ONNX file, is _UNSUPPORTED by its name. A
 * file that somebody writes to meanwhile is _IO. Values that are not finite, negative variances and
 * 8-bit scales that are not finite are _NONFINITE; the message names the tensor and its element.
 * Weights stay as they are stored, also when the model is saved: inference from 16-bit weights
 * takes half the memory, and computes in float32. 8-bit weights come from
 * hmt_model_save(HMT_DTYPE_I8); the large inner products then compute with 8-bit weights and 16-bit
 * activations, scaled for each photo, in exact 32-bit sums. A trainer, and writing a parameter,
 * widens either.
 * @return HMT_ERROR_NOT_FOUND, _IO, _FORMAT (the message names the tensor or byte), _UNSUPPORTED,
 * _LIMIT (a pickle of more than a million values), _NONFINITE, _MEMORY, _ARGUMENT, _CANCELLED
 */
HMT_API hmt_status hmt_model_load(hmt_context *context, const char *path,
                                  const hmt_load_options *options, hmt_model **model);
/** The same from memory, which is copied: it may be released after the call. */
HMT_API hmt_status hmt_model_load_memory(hmt_context *context, const void *data, size_t size,
                                         const hmt_load_options *options, hmt_model **model);

typedef enum hmt_dtype {
    HMT_DTYPE_F32 = 0,
    HMT_DTYPE_F16 = 1,  /**< IEEE half precision: magnitudes below 65520 */
    HMT_DTYPE_BF16 = 2, /**< the upper half of a float32: 8 bits of mantissa, the full range */
    HMT_DTYPE_I8 = 3 /**< integers from -127 to 127 times a float32 scale for each output channel */
} hmt_dtype;

/**
 * Saves parameters and config. Atomic: written beside `path`, synced, then renamed over it, so that
 * `path` holds the old or the new model, whole, at every moment. The new file has the old one's
 * permissions and, where that may be, its owner and group. If path is a symbolic link the file that
 * it points to is replaced, but a link of another user in a sticky folder that all may write to is
 * _IO. What a process killed while it saved left behind is removed at the next save. A model with a
 * trainer is saved as it is now.
 * @param dtype  storage of weights; batch norm statistics, biases and other vectors stay float32
 * @return HMT_ERROR_NOT_FOUND (no such folder), _IO, _MEMORY, _ARGUMENT, _NONFINITE (training has
 *         made a parameter infinite, not a number, or a variance negative: the old file stays),
 *         _LIMIT (a weight is too large for dtype, or for 8 bits not finite), _CANCELLED, _STATE
 * and _BACKEND (see hmt_model_sync())
 */
HMT_API hmt_status hmt_model_save(hmt_model *model, const char *path, hmt_dtype dtype);

HMT_API void hmt_model_free(hmt_model *model);

/**
 * A new model with the same config and parameters in another context: how a model moves between
 * backends and devices, e.g. from a GPU to the CPU. Of a model with a trainer it takes the
 * parameters as they are now. The copy keeps narrow weights narrow, and needs neither the first
 * model nor its file afterwards.
 * @param context  where the copy is to live; NULL: a private one with default options
 * @return HMT_ERROR_MEMORY, _ARGUMENT, what hmt_context_create() returns if context is NULL, and
 * what hmt_model_sync() returns
 */
HMT_API hmt_status hmt_model_copy(hmt_model *model, hmt_context *context, hmt_model **copy);

/**
 * Brings the parameters home from the device that trains them, if they are newer there. Reading,
 * copying and saving a model, making a session and freeing the trainer do it, too; call it now and
 * then where a lost device shall not cost more than the steps since.
 * If the device does not give them (it was lost, or a step failed half-way) the model keeps those
 * of the step that were brought home last, all of one step, and the message says which. Sessions,
 * copies and files are refused with the same status until hmt_trainer_free(); from then on the
 * model is that of the step named, and can be copied to another context and saved.
 * @return HMT_OK also without a trainer; HMT_ERROR_BACKEND, _MEMORY, _STATE (a step failed
 * half-way, or another thread is in the middle of one). A CPU backend trains some parameters in the
 * model's own memory: if a step failed half-way there, or hmt_trainer_free() could not copy the
 * others, the model mixes two steps, and each call on its parameters is _STATE: load it again
 */
HMT_API hmt_status hmt_model_sync(hmt_model *model);

/** Copies the config out. config->struct_size must be set: that many bytes are written at most. */
HMT_API hmt_status hmt_model_get_config(const hmt_model *model, hmt_model_config *config);

/** The name of class `label` of a classification task; NULL if there is none. Lives as long as the
 * model. */
HMT_API const char *hmt_model_label(const hmt_model *model, hmt_task task, int32_t label);

typedef struct hmt_param_info {
    size_t struct_size;
    const char
        *name; /**< as in the released checkpoint, e.g. "gbranch.gconv1.weight"; the model's */
    int32_t dimensions; /**< 1 or 4 */
    int64_t shape[4];   /**< O,I,H,W for weights of convolutions, else the length and ones */
    int64_t count;      /**< number of elements */
    int32_t trainable;  /**< 0 for batch norm statistics */
    int32_t reserved;   /**< 0; room for a later version */
} hmt_param_info;
#define HMT_PARAM_INFO_INIT                                                                        \
    {                                                                                              \
        sizeof(hmt_param_info), NULL, 0, {0, 0, 0, 0}, 0, 0, 0                                     \
    }

/** Number of parameter tensors, batch norm statistics included. 0 for NULL. */
HMT_API size_t hmt_model_param_count(const hmt_model *model);
HMT_API hmt_status hmt_model_param_info(const hmt_model *model, size_t index, hmt_param_info *info);
/** Finds a parameter by name. @return HMT_ERROR_NOT_FOUND, _ARGUMENT */
HMT_API hmt_status hmt_model_param_find(const hmt_model *model, const char *name, size_t *index);
/** Copies parameter `index` out as float32. @param count  must be its number of elements */
HMT_API hmt_status hmt_model_param_read(const hmt_model *model, size_t index, float *values,
                                        size_t count);
/** Sets parameter `index`. Sessions made before refuse to run afterwards (HMT_ERROR_STATE). Not
 * while another thread uses the model. @return HMT_ERROR_ARGUMENT, _MEMORY, _NONFINITE (a value is
 * infinite, not a number, or a negative variance, and the model was not loaded with
 * allow_nonfinite), _STATE (the model has a trainer, or is half changed, see hmt_model_sync()) */
HMT_API hmt_status hmt_model_param_write(hmt_model *model, size_t index, const float *values,
                                         size_t count);
/**
 * Takes over every parameter for which a file of hmt_model_load()'s kinds has a tensor of the same
 * name and shape, and leaves the others: how training starts from a trunk that was trained for
 * another task. All or none are taken. As with hmt_model_param_write(), sessions made before refuse
 * to run afterwards, and no other thread may use the model meanwhile.
 * @param taken  (count), may be NULL; receives for each parameter 1 if it was taken, else 0
 * @param count  hmt_model_param_count() where there is `taken`
 * @return HMT_ERROR_NOT_FOUND, _IO, _FORMAT (damaged, or nothing in it fits), _UNSUPPORTED (among
 * others a tensor that fits but is of integers), _LIMIT, _NONFINITE and _STATE (as
 * hmt_model_param_write()), _MEMORY, _ARGUMENT
 */
HMT_API hmt_status hmt_model_import(hmt_model *model, const char *path, int32_t *taken,
                                    size_t count);

/* ------------------------------------------------------------------------------------------------------
 * 6  Sessions
 * ------------------------------------------------------------------------------------------------------
 */

/** What hmt_session_gradient() can give. */
typedef enum hmt_gradients {
    HMT_GRADIENTS_NONE = 0,
    HMT_GRADIENTS_TAPS = 1, /**< by the taps; a run back ends at the first of them */
    HMT_GRADIENTS_INPUT = 2 /**< by the taps and by the images */
} hmt_gradients;

typedef struct hmt_session_options {
    size_t struct_size;
    int32_t
        batch; /**< images a run computes at once, 1 .. 4096; a shorter last run costs the same */
    uint32_t tasks;    /**< heads to run, HMT_TASKS_... bits; the rest of the network is left out */
    int32_t five_crop; /**< non-zero: hmt_predict_* take the mean over five crops */
    const char *const
        *taps; /**< names of inner maps to keep for hmt_session_tap_read(), e.g. "relu5" */
    size_t tap_count;
    int32_t profile;         /**< non-zero: time every step for hmt_session_profile() */
    int32_t keep_exact;      /**< non-zero: no batch norm is folded into a convolution */
    hmt_gradients gradients; /**< other than HMT_GRADIENTS_NONE the session keeps the maps of a
                                whole run, so takes more memory, and computes from the parameters
                                as float32 however they are stored */
    int32_t reserved;        /**< zero; room for later versions */
    const hmt_decode_options *decode; /**< how hmt_predict_file() and hmt_predict_memory() decode,
                                         e.g. with a larger max_pixels; copied. NULL: the defaults
                                         */
} hmt_session_options;
#define HMT_SESSION_OPTIONS_INIT                                                                   \
    {                                                                                              \
        sizeof(hmt_session_options), 1, HMT_TASKS_ALL, 0, NULL, 0, 0, 0, HMT_GRADIENTS_NONE, 0,    \
            NULL                                                                                   \
    }

/**
 * Prepares a model for inference by one thread: plans the layers, packs weights (shared with the
 * model's other sessions), allocates all that running needs, starts the threads to run with
 * (hmt_context_options.threads). A session refuses to run (HMT_ERROR_STATE) once the model's
 * parameters have been changed by a trainer, hmt_model_param_write() or hmt_model_import(); a run
 * during which another thread changes them fails likewise, and so does a call that saves, copies or
 * reads the model meanwhile. Nothing waits for the other thread.
 * @return HMT_ERROR_ARGUMENT, _NOT_FOUND (tap), _MEMORY (also: a thread did not start), _BACKEND,
 *         _CANCELLED
 */
HMT_API hmt_status hmt_session_create(hmt_model *model, const hmt_session_options *options,
                                      hmt_session **session);

/** The session's model, the session's own: do not free it. */
HMT_API hmt_model *hmt_session_model(const hmt_session *session);

/** Predicts one encoded JPEG or PNG in memory. Errors as hmt_predict_file(). */
HMT_API hmt_status hmt_predict_memory(hmt_session *session, const void *data, size_t size,
                                      hmt_prediction *prediction);

/**
 * Predicts `count` images given as pixels, in runs of the session's batch.
 * @param predictions  (count) each with its own status: HMT_ERROR_ARGUMENT of pixels that cannot
 * be, HMT_ERROR_NONFINITE as hmt_infer()
 * @return the first image's failure, or as hmt_infer()
 */
HMT_API hmt_status hmt_predict_pixels(hmt_session *session, const hmt_pixels *images, size_t count,
                                      hmt_prediction *predictions);

/**
 * Infers from preprocessed tensors.
 * @param images       (count,3,224,224), normalised as hmt_preprocess() does with the model's
 * config
 * @param predictions  (count) each with its own status
 * @return HMT_ERROR_NONFINITE (an image has values that are not finite, or so large, it or the
 * model's weights, that the answer would not be; the others have theirs), _ARGUMENT, _STATE,
 * _BACKEND, _CANCELLED
 */
HMT_API hmt_status hmt_infer(hmt_session *session, const float *images, size_t count,
                             hmt_prediction *predictions);

/**
 * Infers from 8-bit crops, which a backend with HMT_FEATURE_PIXELS normalises on its device; with
 * others the predictions have the same bits as with hmt_preprocess() and hmt_infer().
 * @param crops        (count,224,224,3) RGB, as from hmt_preprocess_crops()
 * @param predictions  (count)
 * @return as hmt_infer()
 */
HMT_API hmt_status hmt_infer_crops(hmt_session *session, const uint8_t *crops, size_t count,
                                   hmt_prediction *predictions);

/**
 * Hands over what a later call will infer from, so that it travels to the device while the runs
 * before it compute. Call it with the next batch, then infer the current one, which was handed over
 * before: two are kept. It returns at once and changes no result. Backends that compute in the
 * host's memory do nothing; see hmt_session_stages(). A call with more than the session's batch
 * hands its own runs over one by one.
 * @param images  the pointer that hmt_infer() will get; its memory must not be changed or released
 *                before that, or the session's end
 * @param count   images there; if they are fewer than the session's batch nothing is done
 * @return HMT_ERROR_ARGUMENT, _STATE (as hmt_infer()), _BACKEND
 */
HMT_API hmt_status hmt_session_stage(hmt_session *session, const float *images, size_t count);
/** The same for hmt_infer_crops(). */
HMT_API hmt_status hmt_session_stage_crops(hmt_session *session, const uint8_t *crops,
                                           size_t count);
/** Non-zero if handing batches over ahead has an effect, so that it pays to have the next one ready
 * while one is computed. 0 for NULL. */
HMT_API int32_t hmt_session_stages(const hmt_session *session);

/** The mean of several predictions of one face: of the probabilities and of the scores. count >= 1.
 */
HMT_API hmt_status hmt_prediction_mean(const hmt_prediction *predictions, size_t count,
                                       hmt_prediction *mean);

/**
 * The logits of the last run's first images.
 * @param task    a head of the session; for HMT_TASK_ATTRACTIVENESS the score
 * @param values  receives (n,classes) floats, n the number of images in the last run
 * @param count   how many floats values has room for; at least n * classes
 * @return HMT_ERROR_ARGUMENT, _STATE (the session has not run yet, or its last run failed)
 */
HMT_API hmt_status hmt_session_logits(const hmt_session *session, hmt_task task, float *values,
                                      size_t count);

/** Shape (N,C,H,W) of a tap asked for at creation, N the session's batch. @return
 * HMT_ERROR_NOT_FOUND */
HMT_API hmt_status hmt_session_tap_shape(const hmt_session *session, const char *name,
                                         int64_t shape[4]);
/** Copies out a tap of the last run. @param count  must be N*C*H*W; rows past that run's images are
 * undefined */
HMT_API hmt_status hmt_session_tap_read(hmt_session *session, const char *name, float *values,
                                        size_t count);

/**
 * The gradient of a class's logit, or of the score, by a tap or by the images of the last run: how
 * much it would grow with each value there. For saliency maps (Simonyan et al. 2014) and Grad-CAM
 * (Selvaraju et al. 2017). Batch norms count as they do in inference, with their running
 * statistics. What other heads make of a shared map does not enter. The last run is the last
 * `batch` images of a call: give at most that many at once. A call for another task or label than
 * the one before computes; one that differs in the tap only copies.
 * @param task    a head of the session
 * @param label   whose logit; -1: of each image the class predicted. Ignored for
 *                HMT_TASK_ATTRACTIVENESS
 * @param tap     a tap of the session; NULL: the images, as hmt_infer() took them
 * @param values  receives (N,C,H,W) floats, N the session's batch; 0 past the last run's images,
 *                and for taps that the head does not read
 * @param count   must be N*C*H*W
 * @return HMT_ERROR_ARGUMENT, _NOT_FOUND (tap), _STATE (made without these gradients, has not run,
 * or the parameters have changed), _BACKEND, _CANCELLED, _NONFINITE (of one of the run's images)
 */
HMT_API hmt_status hmt_session_gradient(hmt_session *session, hmt_task task, int32_t label,
                                        const char *tap, float *values, size_t count);

/** Bytes held, known before anything runs. */
typedef struct hmt_memory {
    size_t struct_size;
    uint64_t parameters; /**< the model's own: allocated or, on request, mapped */
    uint64_t packed;     /**< weights kept in the backend's layouts, shared by the model's sessions;
                            optimiser */
    uint64_t arena;      /**< activations and gradients, and the backend's scratch space */
    uint64_t staging;    /**< input and output buffers */
} hmt_memory;
#define HMT_MEMORY_INIT                                                                            \
    {                                                                                              \
        sizeof(hmt_memory), 0, 0, 0, 0                                                             \
    }
HMT_API hmt_status hmt_session_memory(const hmt_session *session, hmt_memory *memory);

/** One line of a profile. */
typedef struct hmt_step_profile {
    const char *name;    /**< the layer, e.g. "conv3"; lives as long as the session or trainer */
    const char *kind;    /**< e.g. "batch_norm_backward"; behind a comma the kernel, where the
                              backend chose among several, e.g. "conv, winograd 4x4" */
    double milliseconds; /**< in the last run; 0 without the option profile */
    double flops;        /**< floating-point operations, 2 for a multiply-add */
    uint64_t bytes;      /**< operands read and written, each once */
} hmt_step_profile;

/**
 * The session's steps, with the last run's time for each if it was made with profile. Timing makes
 * a device that works on its own wait after each step.
 * @param steps     receives up to capacity lines; may be NULL if capacity is 0
 * @param count     receives the number of steps there are
 */
HMT_API hmt_status hmt_session_profile(const hmt_session *session, hmt_step_profile *steps,
                                       size_t capacity, size_t *count);

/* ------------------------------------------------------------------------------------------------------
 * 7  Trainers
 * ------------------------------------------------------------------------------------------------------
 */

/** The regression loss of ANet, of the error e = prediction - label. */
typedef enum hmt_loss {
    HMT_LOSS_SMOOTH_HUBER = 0, /**< log cosh e where |e| <= delta, else |e| (paper, equation 3) */
    HMT_LOSS_MSE = 1,          /**< e^2 */
    HMT_LOSS_L1 = 2,           /**< |e| */
    HMT_LOSS_SMOOTH_L1 = 3     /**< e^2 / 2 where |e| < 1, else |e| - 1/2 */
} hmt_loss;

/** How a part of the network learns: the parameters whose names begin with `prefix`, e.g. "conv"
 * or "gbranch.". */
typedef struct hmt_param_rule {
    const char *prefix;
    double rate; /**< factor of the learning rate; 0 freezes them: no gradient is computed, and a
                    batch norm that is frozen and has nothing that learns before it uses and keeps
                    its running statistics */
} hmt_param_rule;

typedef struct hmt_trainer_options {
    size_t struct_size;
    int32_t batch;                /**< images of a step, 2 .. 4096 (batch norm needs two) */
    double learning_rate;         /**< of the next steps; see hmt_trainer_set_learning_rate() */
    double momentum;              /**< [0, 1) */
    double weight_decay;          /**< added to every gradient as weight_decay * parameter; >= 0 */
    double alpha[HMT_TASK_COUNT]; /**< weight of each task's loss (paper, equation 4); 0 leaves a
                                     head untrained */
    hmt_loss loss;                /**< of the attractiveness head */
    double delta;                 /**< Smooth Huber's; > 0 */
    int32_t profile;              /**< non-zero: time every step for hmt_trainer_profile() */
    uint64_t seed;                /**< for dropout, in networks that have it */
    int32_t nesterov;           /**< non-zero: Nesterov's momentum; not together with accumulate */
    int32_t decay_weights_only; /**< non-zero: biases and batch norms are not decayed */
    double label_smoothing; /**< [0, 1): share of a class label spread over all classes (Szegedy et
                               al. 2016, section 7) */
    int32_t accumulate;     /**< steps whose gradients make one update, 1 .. 65536: the effective
                               batch is batch * accumulate; batch norm still sees one batch */
    const hmt_param_rule *rules; /**< the first that fits a parameter counts; only read during the
                                    call */
    size_t rule_count;           /**< at most 256 */
    int32_t device_count; /**< devices of the context's backend to train on, up to 64; 0 and 1: the
                             context's alone. Each takes an equal part of every batch, at least two
                             images, and has the batch norm statistics of its part; gradients are
                             summed up, so that all hold the same parameters */
    const int32_t *devices; /**< (device_count) their numbers, the context's first; only read during
                               the call. NULL: the context's and those that follow it */
    double average; /**< [0, 1): decay of a moving average of parameters and batch norm statistics
                       for each update; 0: none. The model then holds the average, over the training
                       so far: it is what hmt_evaluate(), sessions and hmt_model_save() see, while
                       the steps go on from values that the trainer keeps beside it */
    int32_t average_every; /**< updates between two moves of the average, 1 .. 1000000; the model
                              has the trainer's values until the first. A move costs about as much
                              as walking over the parameters twice */
    int32_t reserved;      /**< 0; room for a later version */
} hmt_trainer_options;
/** The paper's recipe (section 4.2): batch 32, rate 1e-3, momentum 0.9, decay 0.05, alpha 1,1,2,
 * delta 0.6. */
#define HMT_TRAINER_OPTIONS_INIT                                                                   \
    {                                                                                              \
        sizeof(hmt_trainer_options), 32, 1e-3, 0.9, 0.05, {1, 1, 2}, HMT_LOSS_SMOOTH_HUBER, 0.6,   \
            0, 0, 0, 0, 0, 1, NULL, 0, 0, NULL, 0, 8, 0                                            \
    }

/**
 * Prepares a model to be trained by stochastic gradient descent. A model has one trainer at a time;
 * its parameters belong to the trainer until that is freed, and reading or saving the model gives
 * their latest state, with the option average that of their average. On several devices it has a
 * thread for each but the first, with all signals blocked, from here to hmt_trainer_free();
 * parameters, momentum and statistics are those of the first, on which hmt_evaluate() runs, too.
 * @return HMT_ERROR_ARGUMENT, _NOT_FOUND (a rule fits no parameter; no such device), _STATE (has a
 * trainer; a thread did not start), _MEMORY, _BACKEND, _UNSUPPORTED (a backend that trains on one
 * device only), _CANCELLED
 */
HMT_API hmt_status hmt_trainer_create(hmt_model *model, const hmt_trainer_options *options,
                                      hmt_trainer **trainer);
/** Brings the parameters back to the model, with the option average their average, see
 * hmt_model_sync(), and releases the trainer. If they cannot be had the context's log is told why;
 * hmt_last_error() keeps what it had. */
HMT_API void hmt_trainer_free(hmt_trainer *trainer);

/** A labelled batch; the arrays are the caller's and only read during the call. */
typedef struct hmt_batch {
    size_t struct_size;
    size_t count;          /**< images; a training step needs exactly the trainer's batch */
    const float *images;   /**< (count,3,224,224), from hmt_preprocess() */
    const int32_t *gender; /**< (count) class indices, negative: not known; NULL: none known */
    const int32_t *race;   /**< likewise */
    const float *score;    /**< (count) scores, NaN: not known; NULL: none known */
} hmt_batch;
#define HMT_BATCH_INIT                                                                             \
    {                                                                                              \
        sizeof(hmt_batch), 0, NULL, NULL, NULL, NULL                                               \
    }

/** What a batch came to. */
typedef struct hmt_losses {
    size_t struct_size;
    double total;                /**< sum of alpha times loss (paper, equation 4) */
    double task[HMT_TASK_COUNT]; /**< mean over the images whose label is known; 0 if none is */
    int64_t labelled[HMT_TASK_COUNT]; /**< how many those are */
    uint64_t step;                    /**< number of the step, from 1; 0 for an evaluation */
} hmt_losses;
#define HMT_LOSSES_INIT                                                                            \
    {                                                                                              \
        sizeof(hmt_losses), 0, {0, 0, 0}, {0, 0, 0}, 0                                             \
    }

/**
 * One step: forward, losses, backward, update; with accumulate above 1 only every so many steps end
 * in an update. If a loss, or a batch norm's statistics, are
 * infinite or not a number the step ends there with HMT_ERROR_NONFINITE, the message naming step
 * and task or layer, and no parameter, statistic or momentum has changed. If the
 * backward half fails, on whichever device, the parameters there are of no use: the trainer takes
 * no further call but hmt_trainer_free(), and hmt_model_sync() says what the model has.
 * @param losses  may be NULL
 * @return HMT_ERROR_ARGUMENT (count, or a label out of range), _NONFINITE, _BACKEND, _CANCELLED,
 * _STATE (a step before this one failed half-way)
 */
HMT_API hmt_status hmt_train_step(hmt_trainer *trainer, const hmt_batch *batch, hmt_losses *losses);

/**
 * Losses and predictions with the batch norms' running statistics, nothing changed. Labels may be
 * missing. With the option average those of the averaged model; the first call after a step then
 * prepares anew.
 * @param batch        up to the trainer's batch images
 * @param losses       may be NULL
 * @param predictions  (count), may be NULL; each with its own status
 * @return as hmt_train_step(); HMT_ERROR_NONFINITE if an image, its answer or a loss is not finite
 */
HMT_API hmt_status hmt_evaluate(hmt_trainer *trainer, const hmt_batch *batch, hmt_losses *losses,
                                hmt_prediction *predictions);

/**
 * Hands over the images of a later step, as hmt_session_stage() does: call it with the next batch,
 * then train on the current one. hmt_loader_options.lend keeps both valid.
 * @param batch  its images are those of a later hmt_train_step(): the same pointer, not changed
 *               before; labels are not read
 * @return HMT_ERROR_ARGUMENT, _STATE (as hmt_train_step()), _BACKEND
 */
HMT_API hmt_status hmt_trainer_stage(hmt_trainer *trainer, const hmt_batch *batch);
/** Non-zero if that has an effect. 0 for NULL. */
HMT_API int32_t hmt_trainer_stages(const hmt_trainer *trainer);

/** Sets the rate of the following steps. @return HMT_ERROR_ARGUMENT if it is negative or not finite
 */
HMT_API hmt_status hmt_trainer_set_learning_rate(hmt_trainer *trainer, double learning_rate);

/**
 * Copies out the optimiser's momentum of a parameter: v in v = momentum * v + gradient + decay *
 * parameter.
 * @param index  as in hmt_model_param_info(); @param count  its number of elements
 * @return HMT_ERROR_ARGUMENT, _NOT_FOUND (not trainable)
 */
HMT_API hmt_status hmt_trainer_momentum_read(hmt_trainer *trainer, size_t index, float *values,
                                             size_t count);

/**
 * Saves everything that going on needs: parameters, batch norm statistics, their average if there
 * is one, momentum, the number of steps done. Atomic, as hmt_model_save(). The file is also a model
 * that hmt_model_load() takes.
 * @param note  the host's own text, e.g. the schedule and where in the data it is; NULL: none.
 *              UTF-8, at most 1 MiB
 * @return as hmt_model_save()
 */
HMT_API hmt_status hmt_trainer_save(hmt_trainer *trainer, const char *path, const char *note);

/**
 * Goes on where a checkpoint was saved: sets momentum and the number of steps. With the same
 * batches, rates and number of threads the following steps give the same bits as if the run had
 * never stopped.
 * @param trainer  new, without a step, with the options of the one that saved (profile and the
 *                 learning rate aside), of a model loaded from the same file
 * @return HMT_ERROR_FORMAT (no checkpoint, or damaged), _ARGUMENT (made with other options, or the
 * model has other parameters), _NONFINITE (momentum or a value that is not finite, or a negative
 * variance), _STATE (not new), _NOT_FOUND, _IO, _MEMORY, _BACKEND, _UNSUPPORTED
 * (a backend without that). After a failure the trainer is to be freed
 */
HMT_API hmt_status hmt_trainer_resume(hmt_trainer *trainer, const char *path);

/**
 * The note of a checkpoint.
 * @param note      receives the text with a terminating zero, cut at capacity; may be NULL if
 *                  capacity is 0
 * @param length    receives its whole length in bytes, without the zero; may be NULL
 * @return HMT_ERROR_FORMAT (no checkpoint), _NOT_FOUND, _IO, _MEMORY, _ARGUMENT
 */
HMT_API hmt_status hmt_checkpoint_note(const hmt_context *context, const char *path, char *note,
                                       size_t capacity, size_t *length);

/** The bytes of all the trainer's devices. */
HMT_API hmt_status hmt_trainer_memory(const hmt_trainer *trainer, hmt_memory *memory);
/** As hmt_session_profile(); on several devices what the first one does. */
HMT_API hmt_status hmt_trainer_profile(const hmt_trainer *trainer, hmt_step_profile *steps,
                                       size_t capacity, size_t *count);

/** How a learning rate moves over a training run. */
typedef enum hmt_schedule_kind {
    HMT_SCHEDULE_CONSTANT = 0,
    HMT_SCHEDULE_STEP =
        1, /**< times factor after every period steps (paper: 0.1 every 50 epochs) */
    HMT_SCHEDULE_COSINE = 2, /**< from base down to base * factor along half a cosine */
    HMT_SCHEDULE_ONE_CYCLE =
        3 /**< up from base / 25 over the first warmup share, then down to base * factor */
} hmt_schedule_kind;

typedef struct hmt_schedule {
    size_t struct_size;
    hmt_schedule_kind kind;
    double base;           /**< the rate, for one-cycle its highest */
    double factor;         /**< see the kinds */
    uint64_t period;       /**< steps; HMT_SCHEDULE_STEP only */
    double warmup;         /**< share of the total, [0, 1); HMT_SCHEDULE_ONE_CYCLE only */
    uint64_t total;        /**< steps of the whole run */
    uint64_t warmup_steps; /**< the rate climbs in equal steps up to base before the rest begins;
                              not for HMT_SCHEDULE_ONE_CYCLE, which has warmup */
} hmt_schedule;
#define HMT_SCHEDULE_INIT                                                                          \
    {                                                                                              \
        sizeof(hmt_schedule), HMT_SCHEDULE_CONSTANT, 1e-3, 0.1, 0, 0.3, 0, 0                       \
    }

/** The rate for step `step`, counted from 0. @return HMT_ERROR_ARGUMENT */
HMT_API hmt_status hmt_schedule_rate(const hmt_schedule *schedule, uint64_t step, double *rate);

/* ------------------------------------------------------------------------------------------------------
 * 8  Backends
 * ------------------------------------------------------------------------------------------------------
 */

typedef struct hmt_backend_info {
    size_t struct_size;
    const char *name;        /**< for hmt_context_options.backend */
    const char *description; /**< one line: what it runs on, and its library's version */
    int32_t device_count;    /**< devices it can open now; 0 if none */
    int32_t reserved;        /**< 0; room for a later version */
} hmt_backend_info;
#define HMT_BACKEND_INFO_INIT                                                                      \
    {                                                                                              \
        sizeof(hmt_backend_info), NULL, NULL, 0, 0                                                 \
    }

typedef struct hmt_device_info {
    size_t struct_size;
    char name[128];   /**< e.g. the processor's model name */
    uint64_t memory;  /**< bytes in all; 0 if not known */
    int32_t threads;  /**< threads it would use by default; 0 if that has no meaning */
    int32_t reserved; /**< 0; room for a later version */
} hmt_device_info;
#define HMT_DEVICE_INFO_INIT                                                                       \
    {                                                                                              \
        sizeof(hmt_device_info), {0}, 0, 0, 0                                                      \
    }

/** Number of backends: the context's own ones first, then the built-in ones, then the module it
 * opened or, with list_modules, all modules that were found. NULL: the built-in ones. */
HMT_API size_t hmt_backend_count(const hmt_context *context);
HMT_API hmt_status hmt_backend_get_info(const hmt_context *context, size_t index,
                                        hmt_backend_info *info);
HMT_API hmt_status hmt_device_get_info(const hmt_context *context, size_t backend, int32_t device,
                                       hmt_device_info *info);
/** Name of the backend that the context opened; lives as long as the context. "" for NULL. */
HMT_API const char *hmt_context_backend(const hmt_context *context);
/** Threads the context computes with. 0 for NULL. */
HMT_API int32_t hmt_context_threads(const hmt_context *context);

#ifdef __cplusplus
}
#endif

#endif /* HMTNET_HMTNET_H */
