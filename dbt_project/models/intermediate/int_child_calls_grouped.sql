{{ config(materialized = 'table', post_hook = '{{ analyze_this() }}') }}

with recursive operations as (

    select * from {{ ref('stg_llm_ops__operations') }}
    where parent_operation_id is not null

),

calls as (

    select
        parent_operation_id,
        count(*) as child_call_count,
        max(loaded_at) as last_child_loaded_at
    from operations
    where input_tokens is not null or output_tokens is not null or recorded_cost_usd is not null
    group by parent_operation_id

),

-- An agent may work for an agent: what calls belong to belongs to something as well. Pairs, so that a circle ends.
ancestors as (

    select
        parent_operation_id,
        parent_operation_id as operation_id
    from calls
    union
    select
        ancestors.parent_operation_id,
        operations.parent_operation_id as operation_id
    from ancestors
    inner join operations on ancestors.operation_id = operations.operation_id

),

final as (

    select
        ancestors.operation_id,
        cast(sum(calls.child_call_count) as bigint) as child_call_count,
        max(calls.last_child_loaded_at) as last_child_loaded_at
    from ancestors
    inner join calls on ancestors.parent_operation_id = calls.parent_operation_id
    group by ancestors.operation_id

)

select * from final
