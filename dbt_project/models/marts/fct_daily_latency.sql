{{
    config(
        materialized = 'incremental',
        incremental_strategy = 'whole_days',
        on_schema_change = 'fail'
    )
}}

{%- set days = days_to_rebuild(built = 'select distinct operation_date, day_fingerprint from ' ~ this) %}

-- Not copied, as a CTE that is read twice would be, with all its columns.
with operations as not materialized (

    select * from {{ ref('fct_llm_operations') }}
    where {{ falls_on(days) }}

),

days as (

    {{ day_fingerprints('operations') }}

),

grouped as (

    select
        operation_date,
        workspace,
        provider,
        model,
        operation_type,

        count(*) as operation_count,
        count(latency_ms) as timed_operation_count,
        count(*) - count(is_error) as unknown_status_count,
        count(case when is_error then 1 end) as error_count,
        cast(count(case when is_error then 1 end) as double precision) / nullif(count(is_error), 0) as error_rate,

        cast(sum(latency_ms) as double precision) / nullif(count(latency_ms), 0) as mean_latency_ms,
        min(latency_ms) as min_latency_ms,
        max(latency_ms) as max_latency_ms,
        percentile_cont(array[0.5, 0.9, 0.95, 0.99]) within group (order by latency_ms) as latencies_ms,
        percentile_cont(array[0.5, 0.95]) within group (order by time_to_first_token_ms) as first_tokens_ms

    from operations
    group by operation_date, workspace, provider, model, operation_type

),

final as (

    select
        {{ surrogate_key([
            'grouped.operation_date', 'workspace', 'provider', 'model', 'operation_type'
        ]) }} as daily_latency_id,
        {{ surrogate_key(['provider', 'model']) }} as model_id,

        grouped.operation_date,
        grouped.workspace,
        grouped.provider,
        grouped.model,
        grouped.operation_type,

        grouped.operation_count,
        grouped.timed_operation_count,
        grouped.unknown_status_count,
        grouped.error_count,
        grouped.error_rate,

        grouped.mean_latency_ms,
        grouped.min_latency_ms,
        grouped.max_latency_ms,
        {{ without_float_noise('grouped.latencies_ms[1]') }} as p50_latency_ms,
        {{ without_float_noise('grouped.latencies_ms[2]') }} as p90_latency_ms,
        {{ without_float_noise('grouped.latencies_ms[3]') }} as p95_latency_ms,
        {{ without_float_noise('grouped.latencies_ms[4]') }} as p99_latency_ms,
        {{ without_float_noise('grouped.first_tokens_ms[1]') }} as p50_time_to_first_token_ms,
        {{ without_float_noise('grouped.first_tokens_ms[2]') }} as p95_time_to_first_token_ms,

        days.day_fingerprint

    from grouped
    inner join days on grouped.operation_date = days.operation_date

)

select * from final
