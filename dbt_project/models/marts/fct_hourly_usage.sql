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
        date_trunc('hour', started_at) as hour_start_at,
        workspace,
        provider,
        model,
        operation_type,

        count(*) as operation_count,
        count(unpriced_reason) as unpriced_operation_count,
        count(latency_ms) as timed_operation_count,
        count(*) - count(is_error) as unknown_status_count,
        count(case when is_error then 1 end) as error_count,

        {%- for tokens in [
            'input_tokens', 'cache_read_tokens', 'cache_write_tokens', 'output_tokens', 'reasoning_tokens', 'total_tokens'
        ] %}
        cast(sum({{ tokens }}) as bigint) as {{ tokens }},
        {%- endfor %}
        cast(sum(case when is_priced then total_tokens end) as bigint) as priced_tokens,

        cast(sum(cost_usd) as numeric(38, 12)) as cost_usd,

        cast(sum(latency_ms) as bigint) as total_latency_ms,
        max(latency_ms) as max_latency_ms

    from operations
    group by operation_date, date_trunc('hour', started_at), workspace, provider, model, operation_type

),

final as (

    select
        grouped.*,
        cast(grouped.total_latency_ms as double precision) / nullif(grouped.timed_operation_count, 0)
            as mean_latency_ms,
        days.day_fingerprint

    from grouped
    inner join days on grouped.operation_date = days.operation_date

)

select * from final
