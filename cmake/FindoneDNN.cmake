# Finds oneDNN's C library and makes the target oneDNN::oneDNN. Looks at the header, the library and the version that the
# header states, and so works for a system package, a prefix in CMAKE_PREFIX_PATH, and the PyPI packages unpacked by
# scripts/setup.sh alike. A version with the old API (before 3) is refused by number.
find_path(ONEDNN_INCLUDE_DIR oneapi/dnnl/dnnl_version.h)
find_library(ONEDNN_LIBRARY dnnl)
mark_as_advanced(ONEDNN_INCLUDE_DIR ONEDNN_LIBRARY)

if(ONEDNN_INCLUDE_DIR)
    file(STRINGS "${ONEDNN_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h" lines REGEX "^#define +DNNL_VERSION_(MAJOR|MINOR|PATCH) +[0-9]+")
    set(oneDNN_VERSION "")
    foreach(line IN LISTS lines)
        string(REGEX MATCH "[0-9]+$" number "${line}")
        string(APPEND oneDNN_VERSION "${number}.")
    endforeach()
    string(REGEX REPLACE "\\.$" "" oneDNN_VERSION "${oneDNN_VERSION}")
    if(oneDNN_VERSION AND oneDNN_VERSION VERSION_LESS oneDNN_FIND_VERSION)
        set(reason "oneDNN ${oneDNN_VERSION} in ${ONEDNN_INCLUDE_DIR} has the old API: version ${oneDNN_FIND_VERSION} or later is needed. scripts/setup.sh fetches one, or name the prefix of one with -DCMAKE_PREFIX_PATH=")
        set(ONEDNN_INCLUDE_DIR ONEDNN_INCLUDE_DIR-NOTFOUND CACHE PATH "" FORCE) # look again next time
        set(ONEDNN_LIBRARY ONEDNN_LIBRARY-NOTFOUND CACHE FILEPATH "" FORCE)
    endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(oneDNN REQUIRED_VARS ONEDNN_LIBRARY ONEDNN_INCLUDE_DIR VERSION_VAR oneDNN_VERSION
                                  REASON_FAILURE_MESSAGE "${reason}")
if(oneDNN_FOUND AND NOT TARGET oneDNN::oneDNN)
    add_library(oneDNN::oneDNN UNKNOWN IMPORTED)
    set_target_properties(oneDNN::oneDNN PROPERTIES IMPORTED_LOCATION "${ONEDNN_LIBRARY}"
                                                    INTERFACE_INCLUDE_DIRECTORIES "${ONEDNN_INCLUDE_DIR}")
endif()
