{{
    config(
        materialized = 'incremental',
        incremental_strategy = 'whole_days',
        on_schema_change = 'fail'
    )
}}

{%- set days = days_to_rebuild(built = 'select distinct operation_date, day_fingerprint from ' ~ this) %}

with operations as (

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
        agent_id,
        provider,
        model,
        operation_type,

        count(*) as operation_count,
        count(*) - count(cost_usd) as unpriced_operation_count,

        cast(sum(input_tokens) as bigint) as input_tokens,
        cast(sum(output_tokens) as bigint) as output_tokens,
        cast(sum(total_tokens) as bigint) as total_tokens,
        cast(sum(cache_read_tokens) as bigint) as cache_read_tokens,
        cast(sum(cache_write_tokens) as bigint) as cache_write_tokens,
        cast(sum(reasoning_tokens) as bigint) as reasoning_tokens,
        cast(sum(case when is_priced then total_tokens end) as bigint) as priced_tokens,

        cast(sum(cost_usd) as numeric(38, 12)) as cost_usd,

        min(started_at) as first_operation_at,
        max(started_at) as last_operation_at

    from operations
    group by operation_date, workspace, agent_id, provider, model, operation_type

),

final as (

    select
        {{ surrogate_key([
            'grouped.operation_date', 'workspace', 'agent_id', 'provider', 'model', 'operation_type'
        ]) }} as daily_cost_id,
        {{ surrogate_key(['provider', 'model']) }} as model_id,
        grouped.*,
        {{ usd_per_1k('cost_usd', 'priced_tokens') }} as cost_per_1k_tokens_usd,
        days.day_fingerprint

    from grouped
    inner join days on grouped.operation_date = days.operation_date

)

select * from final
