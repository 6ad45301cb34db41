/*
 * The layouts of all public structs on LP64, as scripts/layouts.py wrote them: compiled as C here
 * and as C++ by abi_test.sh. What fails to compile has changed for hosts that are built already;
 * docs/abi.md says what may.
 */
#include <stddef.h>

#include <hmtnet/backend.h>
#include <hmtnet/data.h>
#include <hmtnet/hmtnet.h>

#ifdef __cplusplus
#define CHECK(condition, what) static_assert(condition, what)
#else
#define CHECK(condition, what) _Static_assert(condition, what)
#endif
#define SIZE(type, bytes) CHECK(sizeof(type) == (bytes), "sizeof " #type)
#define FIELD(type, field, offset) CHECK(offsetof(type, field) == (offset), #type "." #field)

#ifdef __LP64__

SIZE(hmt_class_prediction, 144);
FIELD(hmt_class_prediction, label, 0);
FIELD(hmt_class_prediction, class_count, 4);
FIELD(hmt_class_prediction, name, 8);
FIELD(hmt_class_prediction, probabilities, 16);

SIZE(hmt_prediction, 352);
FIELD(hmt_prediction, tasks, 0);
FIELD(hmt_prediction, score, 4);
FIELD(hmt_prediction, gender, 8);
FIELD(hmt_prediction, race, 152);
FIELD(hmt_prediction, status, 296);
FIELD(hmt_prediction, reserved, 300);

SIZE(hmt_allocator, 24);
FIELD(hmt_allocator, allocate, 0);
FIELD(hmt_allocator, release, 8);
FIELD(hmt_allocator, user, 16);

SIZE(hmt_executor, 16);
FIELD(hmt_executor, run, 0);
FIELD(hmt_executor, user, 8);

SIZE(hmt_context_options, 136);
FIELD(hmt_context_options, struct_size, 0);
FIELD(hmt_context_options, backend, 8);
FIELD(hmt_context_options, device, 16);
FIELD(hmt_context_options, threads, 20);
FIELD(hmt_context_options, allocator, 24);
FIELD(hmt_context_options, log, 48);
FIELD(hmt_context_options, log_user, 56);
FIELD(hmt_context_options, progress, 64);
FIELD(hmt_context_options, progress_user, 72);
FIELD(hmt_context_options, backends, 80);
FIELD(hmt_context_options, backend_count, 88);
FIELD(hmt_context_options, precision, 96);
FIELD(hmt_context_options, module_path, 104);
FIELD(hmt_context_options, list_modules, 112);
FIELD(hmt_context_options, reserved, 116);
FIELD(hmt_context_options, executor, 120);

SIZE(hmt_pixels, 32);
FIELD(hmt_pixels, data, 0);
FIELD(hmt_pixels, width, 8);
FIELD(hmt_pixels, height, 12);
FIELD(hmt_pixels, stride, 16);
FIELD(hmt_pixels, format, 24);
FIELD(hmt_pixels, reserved, 28);

SIZE(hmt_decode_options, 48);
FIELD(hmt_decode_options, struct_size, 0);
FIELD(hmt_decode_options, max_bytes, 8);
FIELD(hmt_decode_options, max_pixels, 16);
FIELD(hmt_decode_options, min_side, 24);
FIELD(hmt_decode_options, ignore_orientation, 28);
FIELD(hmt_decode_options, max_memory, 32);
FIELD(hmt_decode_options, allow_truncated, 40);
FIELD(hmt_decode_options, reserved, 44);

SIZE(hmt_preprocess_options, 56);
FIELD(hmt_preprocess_options, struct_size, 0);
FIELD(hmt_preprocess_options, resize, 8);
FIELD(hmt_preprocess_options, crop_size, 12);
FIELD(hmt_preprocess_options, crop, 16);
FIELD(hmt_preprocess_options, flip, 20);
FIELD(hmt_preprocess_options, seed, 24);
FIELD(hmt_preprocess_options, mean, 32);
FIELD(hmt_preprocess_options, deviation, 44);

SIZE(hmt_model_config, 2136);
FIELD(hmt_model_config, struct_size, 0);
FIELD(hmt_model_config, network, 8);
FIELD(hmt_model_config, wiring, 12);
FIELD(hmt_model_config, aggregator, 16);
FIELD(hmt_model_config, width, 24);
FIELD(hmt_model_config, gender_classes, 32);
FIELD(hmt_model_config, race_classes, 36);
FIELD(hmt_model_config, gender_labels, 40);
FIELD(hmt_model_config, race_labels, 1064);
FIELD(hmt_model_config, score_min, 2088);
FIELD(hmt_model_config, score_max, 2092);
FIELD(hmt_model_config, score_mean, 2096);
FIELD(hmt_model_config, mean, 2100);
FIELD(hmt_model_config, deviation, 2112);
FIELD(hmt_model_config, resize, 2124);
FIELD(hmt_model_config, trained, 2128);
FIELD(hmt_model_config, reserved, 2132);

SIZE(hmt_load_options, 32);
FIELD(hmt_load_options, struct_size, 0);
FIELD(hmt_load_options, config, 8);
FIELD(hmt_load_options, map, 16);
FIELD(hmt_load_options, allow_nonfinite, 20);
FIELD(hmt_load_options, state_dict, 24);

SIZE(hmt_param_info, 72);
FIELD(hmt_param_info, struct_size, 0);
FIELD(hmt_param_info, name, 8);
FIELD(hmt_param_info, dimensions, 16);
FIELD(hmt_param_info, shape, 24);
FIELD(hmt_param_info, count, 56);
FIELD(hmt_param_info, trainable, 64);
FIELD(hmt_param_info, reserved, 68);

SIZE(hmt_session_options, 64);
FIELD(hmt_session_options, struct_size, 0);
FIELD(hmt_session_options, batch, 8);
FIELD(hmt_session_options, tasks, 12);
FIELD(hmt_session_options, five_crop, 16);
FIELD(hmt_session_options, taps, 24);
FIELD(hmt_session_options, tap_count, 32);
FIELD(hmt_session_options, profile, 40);
FIELD(hmt_session_options, keep_exact, 44);
FIELD(hmt_session_options, gradients, 48);
FIELD(hmt_session_options, reserved, 52);
FIELD(hmt_session_options, decode, 56);

SIZE(hmt_memory, 40);
FIELD(hmt_memory, struct_size, 0);
FIELD(hmt_memory, parameters, 8);
FIELD(hmt_memory, packed, 16);
FIELD(hmt_memory, arena, 24);
FIELD(hmt_memory, staging, 32);

SIZE(hmt_step_profile, 40);
FIELD(hmt_step_profile, name, 0);
FIELD(hmt_step_profile, kind, 8);
FIELD(hmt_step_profile, milliseconds, 16);
FIELD(hmt_step_profile, flops, 24);
FIELD(hmt_step_profile, bytes, 32);

SIZE(hmt_param_rule, 16);
FIELD(hmt_param_rule, prefix, 0);
FIELD(hmt_param_rule, rate, 8);

SIZE(hmt_trainer_options, 168);
FIELD(hmt_trainer_options, struct_size, 0);
FIELD(hmt_trainer_options, batch, 8);
FIELD(hmt_trainer_options, learning_rate, 16);
FIELD(hmt_trainer_options, momentum, 24);
FIELD(hmt_trainer_options, weight_decay, 32);
FIELD(hmt_trainer_options, alpha, 40);
FIELD(hmt_trainer_options, loss, 64);
FIELD(hmt_trainer_options, delta, 72);
FIELD(hmt_trainer_options, profile, 80);
FIELD(hmt_trainer_options, seed, 88);
FIELD(hmt_trainer_options, nesterov, 96);
FIELD(hmt_trainer_options, decay_weights_only, 100);
FIELD(hmt_trainer_options, label_smoothing, 104);
FIELD(hmt_trainer_options, accumulate, 112);
FIELD(hmt_trainer_options, rules, 120);
FIELD(hmt_trainer_options, rule_count, 128);
FIELD(hmt_trainer_options, device_count, 136);
FIELD(hmt_trainer_options, devices, 144);
FIELD(hmt_trainer_options, average, 152);
FIELD(hmt_trainer_options, average_every, 160);
FIELD(hmt_trainer_options, reserved, 164);

SIZE(hmt_batch, 48);
FIELD(hmt_batch, struct_size, 0);
FIELD(hmt_batch, count, 8);
FIELD(hmt_batch, images, 16);
FIELD(hmt_batch, gender, 24);
FIELD(hmt_batch, race, 32);
FIELD(hmt_batch, score, 40);

SIZE(hmt_losses, 72);
FIELD(hmt_losses, struct_size, 0);
FIELD(hmt_losses, total, 8);
FIELD(hmt_losses, task, 16);
FIELD(hmt_losses, labelled, 40);
FIELD(hmt_losses, step, 64);

SIZE(hmt_schedule, 64);
FIELD(hmt_schedule, struct_size, 0);
FIELD(hmt_schedule, kind, 8);
FIELD(hmt_schedule, base, 16);
FIELD(hmt_schedule, factor, 24);
FIELD(hmt_schedule, period, 32);
FIELD(hmt_schedule, warmup, 40);
FIELD(hmt_schedule, total, 48);
FIELD(hmt_schedule, warmup_steps, 56);

SIZE(hmt_backend_info, 32);
FIELD(hmt_backend_info, struct_size, 0);
FIELD(hmt_backend_info, name, 8);
FIELD(hmt_backend_info, description, 16);
FIELD(hmt_backend_info, device_count, 24);
FIELD(hmt_backend_info, reserved, 28);

SIZE(hmt_device_info, 152);
FIELD(hmt_device_info, struct_size, 0);
FIELD(hmt_device_info, name, 8);
FIELD(hmt_device_info, memory, 136);
FIELD(hmt_device_info, threads, 144);
FIELD(hmt_device_info, reserved, 148);

SIZE(hmt_sample, 56);
FIELD(hmt_sample, struct_size, 0);
FIELD(hmt_sample, path, 8);
FIELD(hmt_sample, name, 16);
FIELD(hmt_sample, gender, 24);
FIELD(hmt_sample, race, 28);
FIELD(hmt_sample, score, 32);
FIELD(hmt_sample, table, 40);
FIELD(hmt_sample, line, 48);

SIZE(hmt_dataset_options, 24);
FIELD(hmt_dataset_options, struct_size, 0);
FIELD(hmt_dataset_options, classes, 8);
FIELD(hmt_dataset_options, scores_only, 16);
FIELD(hmt_dataset_options, reserved, 20);

SIZE(hmt_augment_options, 96);
FIELD(hmt_augment_options, struct_size, 0);
FIELD(hmt_augment_options, resize, 8);
FIELD(hmt_augment_options, crop_size, 12);
FIELD(hmt_augment_options, random_crop, 16);
FIELD(hmt_augment_options, rotation, 24);
FIELD(hmt_augment_options, brightness, 32);
FIELD(hmt_augment_options, contrast, 40);
FIELD(hmt_augment_options, saturation, 48);
FIELD(hmt_augment_options, hue, 56);
FIELD(hmt_augment_options, flip, 64);
FIELD(hmt_augment_options, mean, 72);
FIELD(hmt_augment_options, deviation, 84);

SIZE(hmt_loader_options, 112);
FIELD(hmt_loader_options, struct_size, 0);
FIELD(hmt_loader_options, batch, 8);
FIELD(hmt_loader_options, augment, 16);
FIELD(hmt_loader_options, preprocess, 24);
FIELD(hmt_loader_options, indices, 32);
FIELD(hmt_loader_options, index_count, 40);
FIELD(hmt_loader_options, shuffle, 48);
FIELD(hmt_loader_options, drop_last, 52);
FIELD(hmt_loader_options, skip_bad, 56);
FIELD(hmt_loader_options, seed, 64);
FIELD(hmt_loader_options, workers, 72);
FIELD(hmt_loader_options, ahead_bytes, 80);
FIELD(hmt_loader_options, keep_bytes, 88);
FIELD(hmt_loader_options, lend, 96);
FIELD(hmt_loader_options, reserved, 100);
FIELD(hmt_loader_options, decode, 104);

SIZE(hmt_outcome, 24);
FIELD(hmt_outcome, gender, 0);
FIELD(hmt_outcome, race, 4);
FIELD(hmt_outcome, score, 8);
FIELD(hmt_outcome, predicted_gender, 12);
FIELD(hmt_outcome, predicted_race, 16);
FIELD(hmt_outcome, predicted_score, 20);

SIZE(hmt_figure, 24);
FIELD(hmt_figure, value, 0);
FIELD(hmt_figure, low, 8);
FIELD(hmt_figure, high, 16);

SIZE(hmt_metrics, 16592);
FIELD(hmt_metrics, struct_size, 0);
FIELD(hmt_metrics, count, 8);
FIELD(hmt_metrics, known, 16);
FIELD(hmt_metrics, mae, 40);
FIELD(hmt_metrics, rmse, 64);
FIELD(hmt_metrics, bias, 88);
FIELD(hmt_metrics, pearson, 112);
FIELD(hmt_metrics, spearman, 136);
FIELD(hmt_metrics, accuracy, 160);
FIELD(hmt_metrics, confusion, 208);

SIZE(hmt_metrics_options, 40);
FIELD(hmt_metrics_options, struct_size, 0);
FIELD(hmt_metrics_options, tasks, 8);
FIELD(hmt_metrics_options, gender, 12);
FIELD(hmt_metrics_options, race, 16);
FIELD(hmt_metrics_options, resamples, 20);
FIELD(hmt_metrics_options, confidence, 24);
FIELD(hmt_metrics_options, seed, 32);

SIZE(hmt_spread, 24);
FIELD(hmt_spread, mean, 0);
FIELD(hmt_spread, deviation, 8);
FIELD(hmt_spread, count, 16);

SIZE(hmt_metrics_summary, 176);
FIELD(hmt_metrics_summary, struct_size, 0);
FIELD(hmt_metrics_summary, mae, 8);
FIELD(hmt_metrics_summary, rmse, 32);
FIELD(hmt_metrics_summary, bias, 56);
FIELD(hmt_metrics_summary, pearson, 80);
FIELD(hmt_metrics_summary, spearman, 104);
FIELD(hmt_metrics_summary, accuracy, 128);

SIZE(hmt_window, 32);
FIELD(hmt_window, kernel, 0);
FIELD(hmt_window, stride, 8);
FIELD(hmt_window, pad, 16);
FIELD(hmt_window, groups, 24);
FIELD(hmt_window, exclude_padding, 28);

SIZE(hmt_plan_step, 192);
FIELD(hmt_plan_step, kind, 0);
FIELD(hmt_plan_step, phase, 4);
FIELD(hmt_plan_step, name, 8);
FIELD(hmt_plan_step, in, 16);
FIELD(hmt_plan_step, out, 36);
FIELD(hmt_plan_step, in_count, 48);
FIELD(hmt_plan_step, weight, 52);
FIELD(hmt_plan_step, window, 68);
FIELD(hmt_plan_step, scale, 100);
FIELD(hmt_plan_step, relu, 120);
FIELD(hmt_plan_step, epsilon, 124);
FIELD(hmt_plan_step, momentum, 128);
FIELD(hmt_plan_step, samples, 136);
FIELD(hmt_plan_step, channel, 144);
FIELD(hmt_plan_step, task, 148);
FIELD(hmt_plan_step, loss, 152);
FIELD(hmt_plan_step, delta, 156);
FIELD(hmt_plan_step, drop, 160);
FIELD(hmt_plan_step, salt, 164);
FIELD(hmt_plan_step, group, 168);
FIELD(hmt_plan_step, forward, 172);
FIELD(hmt_plan_step, flops, 176);
FIELD(hmt_plan_step, smoothing, 184);
FIELD(hmt_plan_step, reserved, 188);

SIZE(hmt_plan_tensor, 64);
FIELD(hmt_plan_tensor, name, 0);
FIELD(hmt_plan_tensor, shape, 8);
FIELD(hmt_plan_tensor, flags, 40);
FIELD(hmt_plan_tensor, first_step, 44);
FIELD(hmt_plan_tensor, last_step, 48);
FIELD(hmt_plan_tensor, offset, 56);

SIZE(hmt_plan_weight, 80);
FIELD(hmt_plan_weight, name, 0);
FIELD(hmt_plan_weight, shape, 8);
FIELD(hmt_plan_weight, dimensions, 40);
FIELD(hmt_plan_weight, param, 44);
FIELD(hmt_plan_weight, is_bias, 48);
FIELD(hmt_plan_weight, fold, 52);
FIELD(hmt_plan_weight, epsilon, 68);
FIELD(hmt_plan_weight, scale, 72);
FIELD(hmt_plan_weight, trained, 76);

SIZE(hmt_plan, 88);
FIELD(hmt_plan, struct_size, 0);
FIELD(hmt_plan, training, 8);
FIELD(hmt_plan, batch, 12);
FIELD(hmt_plan, input, 16);
FIELD(hmt_plan, tensors, 24);
FIELD(hmt_plan, tensor_count, 32);
FIELD(hmt_plan, weights, 40);
FIELD(hmt_plan, weight_count, 48);
FIELD(hmt_plan, steps, 56);
FIELD(hmt_plan, step_count, 64);
FIELD(hmt_plan, task_count, 72);
FIELD(hmt_plan, arena_bytes, 80);

SIZE(hmt_interval, 24);
FIELD(hmt_interval, bytes, 0);
FIELD(hmt_interval, first, 8);
FIELD(hmt_interval, last, 12);
FIELD(hmt_interval, offset, 16);

SIZE(hmt_host, 96);
FIELD(hmt_host, struct_size, 0);
FIELD(hmt_host, allocator, 8);
FIELD(hmt_host, threads, 32);
FIELD(hmt_host, fail, 40);
FIELD(hmt_host, log, 48);
FIELD(hmt_host, place, 56);
FIELD(hmt_host, internal, 64);
FIELD(hmt_host, precision, 72);
FIELD(hmt_host, reserved, 76);
FIELD(hmt_host, executor, 80);

SIZE(hmt_source, 40);
FIELD(hmt_source, struct_size, 0);
FIELD(hmt_source, user, 8);
FIELD(hmt_source, read, 16);
FIELD(hmt_source, view, 24);
FIELD(hmt_source, stored, 32);

SIZE(hmt_sgd, 16);
FIELD(hmt_sgd, learning_rate, 0);
FIELD(hmt_sgd, momentum, 4);
FIELD(hmt_sgd, weight_decay, 8);
FIELD(hmt_sgd, nesterov, 12);

SIZE(hmt_run_task, 32);
FIELD(hmt_run_task, labels, 0);
FIELD(hmt_run_task, targets, 8);
FIELD(hmt_run_task, scale, 16);
FIELD(hmt_run_task, loss_sum, 24);

SIZE(hmt_run, 96);
FIELD(hmt_run, struct_size, 0);
FIELD(hmt_run, phase, 8);
FIELD(hmt_run, input, 16);
FIELD(hmt_run, tasks, 24);
FIELD(hmt_run, groups, 32);
FIELD(hmt_run, seed, 40);
FIELD(hmt_run, bad_step, 48);
FIELD(hmt_run, milliseconds, 56);
FIELD(hmt_run, pixels, 64);
FIELD(hmt_run, pixel_scale, 72);
FIELD(hmt_run, pixel_shift, 84);

SIZE(hmt_backend_memory, 32);
FIELD(hmt_backend_memory, struct_size, 0);
FIELD(hmt_backend_memory, packed, 8);
FIELD(hmt_backend_memory, arena, 16);
FIELD(hmt_backend_memory, staging, 24);

SIZE(hmt_backend, 168);
FIELD(hmt_backend, struct_size, 0);
FIELD(hmt_backend, abi, 8);
FIELD(hmt_backend, name, 16);
FIELD(hmt_backend, description, 24);
FIELD(hmt_backend, device_count, 32);
FIELD(hmt_backend, device_info, 40);
FIELD(hmt_backend, device_open, 48);
FIELD(hmt_backend, device_close, 56);
FIELD(hmt_backend, weights_create, 64);
FIELD(hmt_backend, weights_destroy, 72);
FIELD(hmt_backend, weights_get, 80);
FIELD(hmt_backend, weights_set, 88);
FIELD(hmt_backend, exec_create, 96);
FIELD(hmt_backend, exec_destroy, 104);
FIELD(hmt_backend, exec_run, 112);
FIELD(hmt_backend, exec_read, 120);
FIELD(hmt_backend, memory, 128);
FIELD(hmt_backend, step_kernel, 136);
FIELD(hmt_backend, features, 144);
FIELD(hmt_backend, exec_stage, 152);
FIELD(hmt_backend, exec_join, 160);

#endif

int main(void)
{
    return 0;
}
