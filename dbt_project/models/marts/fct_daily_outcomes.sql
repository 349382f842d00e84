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
        provider,
        model,
        operation_type,
        error_class,

        count(*) as operation_count,
        count(is_error) as known_status_count,
        count(case when is_error then 1 end) as error_count,
        count(latency_ms) as timed_operation_count,

        count(case when loaded_at > started_at + interval '{{ var("late_after_hours") }} hours' then 1 end)
            as late_operation_count,
        count(unpriced_reason) as unpriced_operation_count,
        count(case when total_tokens is null and not is_rollup then 1 end) as missing_usage_count,
        count(case when latency_ms is null then 1 end) as missing_latency_count,
        count(case when has_refused_values then 1 end) as refused_values_count,
        count(case when {{ has_impossible_value() }} then 1 end) as impossible_value_count,
        count(case when session_loaded_at is null then 1 end) as without_session_count,

        cast(sum(latency_ms) as bigint) as total_latency_ms,
        cast(sum(cost_usd) as numeric(38, 12)) as cost_usd

    from operations
    group by operation_date, provider, model, operation_type, error_class

),

final as (

    select
        {{ surrogate_key([
            'grouped.operation_date', 'provider', 'model', 'operation_type', 'error_class'
        ]) }} as daily_outcome_id,
        {{ surrogate_key(['provider', 'model']) }} as model_id,
        grouped.*,
        days.day_fingerprint

    from grouped
    inner join days on grouped.operation_date = days.operation_date

)

select * from final
