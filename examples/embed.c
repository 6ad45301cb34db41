/*
 * embed.c - the shortest useful host: predict the photos named on the command line.
 *
 *     cc embed.c -o embed $(pkg-config --cflags --libs hmtnet)
 *     ./embed model.safetensors portrait.jpg another.png
 */
#include <stdio.h>

#include <hmtnet/hmtnet.h>

static void print(const char *path, const hmt_prediction *face)
{
    float sure_gender = 100 * face->gender.probabilities[face->gender.label];
    float sure_race = 100 * face->race.probabilities[face->race.label];
    printf("%s: %s (%.0f %%), %s (%.0f %%), attractiveness %.2f\n", path, face->gender.name,
           sure_gender, face->race.name, sure_race, face->score);
}

int main(int argc, char **argv)
{
    hmt_session *session;
    hmt_prediction face;
    int failed = 0;

    if (argc < 3) {
        fprintf(stderr, "usage: %s MODEL PHOTO...\n", argv[0]);
        return 2;
    }
    if (hmt_open(argv[1], &session) != HMT_OK) {
        fprintf(stderr, "%s\n", hmt_last_error());
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        if (hmt_predict_file(session, argv[i], &face) == HMT_OK) {
            print(argv[i], &face);
        } else {
            fprintf(stderr, "%s: %s\n", argv[i], hmt_last_error());
            failed = 1;
        }
    }
    hmt_session_free(session);
    return failed;
}
