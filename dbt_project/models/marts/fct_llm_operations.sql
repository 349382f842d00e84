{{
    config(
        materialized = 'incremental',
        incremental_strategy = 'whole_days',
        on_schema_change = 'fail',
        indexes = row_store_indexes(['operation_date', 'session_id'])
    )
}}

{%- set days = days_to_rebuild(built = day_fingerprints(this)) %}

with operations as (

    select * from {{ ref('int_operations_priced') }}
    where {{ falls_on(days, instant = 'started_at_instant') }}

),

final as (

    select
        operation_id,
        session_id,
        parent_operation_id,
        action_id,

        workspace,
        agent_id,
        operation_type,
        provider,
        model,
        service_tier,
        status,

        {{ token_columns() | join(',\n        ') }},
        total_tokens,
        latency_ms,
        time_to_first_token_ms,
        cast(output_tokens as double precision) * 1000 / nullif(latency_ms, 0) as output_tokens_per_second,

        -- A case without else has no precision in PostgreSQL, and an incremental build would find another type.
        cast(recorded_cost_usd as numeric(18, 12)) as recorded_cost_usd,
        cast(list_cost_usd as numeric(18, 12)) as list_cost_usd,
        cast(current_cost_usd as numeric(18, 12)) as current_cost_usd,
        cast(cost_usd as numeric(18, 12)) as cost_usd,
        cost_source,
        unpriced_reason,
        price_id,

        coalesce(cost_source in ('recorded', 'list'), false) as is_priced,
        is_rollup,
        is_error,
        error_class,
        has_refused_values,

        operation_date,

        started_at,
        loaded_at,
        session_loaded_at,
        child_call_count,
        last_child_loaded_at,
        price_version

    from operations

)

select * from final
