/* A shared library that is no module. */
__attribute__((visibility("default"))) int hmt_backend_of_another_kind(void);

int hmt_backend_of_another_kind(void)
{
    return 1;
}
